/* SPDX-License-Identifier: Apache-2.0
 *
 * The command lines of `pico run` and `pico restore`: one table of options, one small parser for
 * each kind of value. Fills a struct run_options and touches nothing else.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*option_fn)(struct run_options *options, const char *value);

/* Next field of a mount, up to an unescaped colon: `\:` and `\\` stand for
 * themselves. Advances *text; NULL when there is no further field. */
static char *next_field(const char **text)
{
	if (!*text)
		return NULL;
	char *field = tool_alloc(NULL, strlen(*text) + 1), *out = field;
	const char *in = *text;

	for (; *in && *in != ':'; in++) {
		if (*in == '\\' && (in[1] == ':' || in[1] == '\\'))
			in++;
		*out++ = *in;
	}
	*out = 0;
	*text = *in == ':' ? in + 1 : NULL;
	return field;
}

/* The path as an absolute one, without touching symbolic links. */
static char *absolute(const char *path)
{
	cleanup_string char *here = NULL;

	if (*path == '/')
		return tool_format("%s", path);
	here = getcwd(NULL, 0);
	if (!here) {
		complain("current directory: %s", strerror(errno));
		return NULL;
	}
	return tool_format("%s/%s", here, path);
}

/* Lexically: no empty components, no `.`, and `..` takes one off. */
static void normalise(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in) {
		while (*in == '/')
			in++;
		size_t size = strcspn(in, "/");
		if (size == 0)
			break;
		if (size == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (!(size == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, size);
			out += size;
		}
		in += size;
	}
	if (out == path)
		*out++ = '/';
	*out = 0;
}

static void add_mount(struct run_options *options, char *host, char *guest, bool writable)
{
	options->mounts = tool_alloc(options->mounts, (options->mount_count + 1) * sizeof(*options->mounts));
	options->mounts[options->mount_count++] = (struct mount_option){ host, guest, writable };
}

static int option_mount(struct run_options *options, const char *value)
{
	const char *rest = value;
	cleanup_string char *host = next_field(&rest);
	cleanup_string char *guest = next_field(&rest);
	cleanup_string char *mode = next_field(&rest);
	bool writable = false;

	/* HOST:rw is short for HOST:HOST:rw. */
	if (guest && !mode && (strcmp(guest, "ro") == 0 || strcmp(guest, "rw") == 0)) {
		mode = guest;
		guest = NULL;
	}
	if (rest || !*host || (guest && *guest && *guest != '/')) {
		complain("mount '%s': not of the form HOST[:GUEST[:ro|rw]]", value);
		return -1;
	}
	if (mode && strcmp(mode, "rw") == 0) {
		writable = true;
	} else if (mode && strcmp(mode, "ro") != 0) {
		complain("mount '%s': '%s' is neither ro nor rw", value, mode);
		return -1;
	}
	char *host_path = absolute(host);
	if (!host_path)
		return -1;
	char *guest_path = tool_format("%s", guest && *guest ? guest : host_path);
	normalise(guest_path);
	add_mount(options, host_path, guest_path, writable);
	return 0;
}

static int option_root(struct run_options *options, const char *value)
{
	free(options->root);
	options->root = NULL;
	if (!*value) {
		complain("root: empty");
		return -1;
	}
	options->root = absolute(value);
	return options->root ? 0 : -1;
}

static int option_root_rw(struct run_options *options, const char *value)
{
	(void)value;
	options->root_writable = true;
	return 0;
}

/* K=V, or K alone: the caller's value, when it has one. */
static int option_env(struct run_options *options, const char *value)
{
	const char *present;

	if (*value == '=' || !*value) {
		complain("env '%s': not of the form K=V", value);
		return -1;
	}
	if (strchr(value, '='))
		string_list_add(&options->env, tool_format("%s", value));
	else if ((present = getenv(value)))
		string_list_add(&options->env, tool_format("%s=%s", value, present));
	return 0;
}

static int option_cwd(struct run_options *options, const char *value)
{
	if (*value != '/') {
		complain("cwd '%s': not an absolute path", value);
		return -1;
	}
	options->cwd = value;
	return 0;
}

/* How many bits a size's suffix shifts it: "", K, KB, KiB, M ... -1: none such. */
static int size_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *letter;

	if (!*suffix)
		return 0;
	letter = strchr(letters, *suffix & ~0x20);
	if (!letter || !*letter)
		return -1;
	suffix++;
	if (*suffix && strcmp(suffix, "B") != 0 && strcmp(suffix, "iB") != 0)
		return -1;
	return 10 * (int)(letter - letters + 1);
}

static int parse_size(const char *what, const char *value, uint64_t *size)
{
	char *end;
	unsigned long long number;
	int shift;

	errno = 0;
	number = strtoull(value, &end, 10);
	shift = size_shift(end);
	if (errno || end == value || *value == '-' || shift < 0 || number == 0 || number > UINT64_MAX >> shift) {
		complain("%s '%s': not a size such as 512M or 2G", what, value);
		return -1;
	}
	*size = (uint64_t)number << shift;
	return 0;
}

static int option_memory(struct run_options *options, const char *value)
{
	return parse_size("memory", value, &options->memory);
}

static int option_huge_pages(struct run_options *options, const char *value)
{
	return parse_size("huge-pages", value ? value : "32M", &options->huge_pages);
}

static int option_timeout(struct run_options *options, const char *value)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(value, &end);
	if (*end == 's' && end[1] == 0)
		end++;
	if (errno || end == value || *end || !(seconds > 0) || seconds > 1e9) {
		complain("timeout '%s': not a number of seconds", value);
		return -1;
	}
	options->timeout_ns = (uint64_t)(seconds * 1e9 + 0.999);
	return 0;
}

static int parse_id(const char *what, const char *value, uint32_t *id)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || number >= UINT32_MAX) {
		complain("%s '%s': not a number from 0 to 4294967294", what, value);
		return -1;
	}
	*id = (uint32_t)number;
	return 0;
}

static int option_uid(struct run_options *options, const char *value)
{
	return parse_id("uid", value, &options->uid);
}

static int option_gid(struct run_options *options, const char *value)
{
	return parse_id("gid", value, &options->gid);
}

static int option_hostname(struct run_options *options, const char *value)
{
	if (!*value || strlen(value) > 64) {
		complain("hostname '%s': not 1 to 64 characters", value);
		return -1;
	}
	options->hostname = value;
	return 0;
}

static int option_libos(struct run_options *options, const char *value)
{
	options->libos = value;
	return 0;
}

static int option_stats(struct run_options *options, const char *value)
{
	(void)value;
	options->stats = true;
	return 0;
}

static int option_no_patch(struct run_options *options, const char *value)
{
	(void)value;
	options->no_patch = true;
	return 0;
}

static int option_verbose(struct run_options *options, const char *value)
{
	(void)value;
	options->verbose = true;
	return 0;
}

static int option_name(struct run_options *options, const char *value)
{
	if (!control_name_valid(value)) {
		complain("name '%s': not 1 to 64 letters, digits, '.', '_' and '-'", value);
		return -1;
	}
	options->name = value;
	return 0;
}

static int option_verify(struct run_options *options, const char *value)
{
	(void)value;
	options->verify = true;
	return 0;
}

static int option_changed_ok(struct run_options *options, const char *value)
{
	(void)value;
	options->changed_ok = true;
	return 0;
}

static int option_add_pause(struct run_options *options, const char *value)
{
	(void)value;
	options->add_pause = true;
	return 0;
}

static int option_key(struct run_options *options, const char *value)
{
	options->key = value;
	return 0;
}

static int option_help(struct run_options *options, const char *value)
{
	(void)value;
	options->help = true;
	return 0;
}

static const struct {
	const char *name;
	int has_argument;
	option_fn parse;
} option_table[] = {
	{ "mount", required_argument, option_mount },
	{ "root", required_argument, option_root },
	{ "root-rw", no_argument, option_root_rw },
	{ "env", required_argument, option_env },
	{ "cwd", required_argument, option_cwd },
	{ "memory", required_argument, option_memory },
	{ "huge-pages", optional_argument, option_huge_pages },
	{ "timeout", required_argument, option_timeout },
	{ "stats", no_argument, option_stats },
	{ "uid", required_argument, option_uid },
	{ "gid", required_argument, option_gid },
	{ "hostname", required_argument, option_hostname },
	{ "libos", required_argument, option_libos },
	{ "no-patch", no_argument, option_no_patch },
	{ "verbose", no_argument, option_verbose },
	{ "name", required_argument, option_name },
	{ "verify", no_argument, option_verify },
	{ "changed-ok", no_argument, option_changed_ok },
	{ "add-pause", no_argument, option_add_pause },
	{ "key", required_argument, option_key },
	{ "help", no_argument, option_help },
};
enum { OPTION_COUNT = sizeof(option_table) / sizeof(option_table[0]) };

/* The host's own system, read-only: what a program of the host needs. */
static void add_default_mounts(struct run_options *options)
{
	static const char *const paths[] = {
		"/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32", "/etc",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], F_OK) == 0)
			add_mount(options, tool_format("%s", paths[i]), tool_format("%s", paths[i]), false);
}

static bool has_env(const struct string_list *env, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->item[i], name, size) == 0 && env->item[i][size] == '=')
			return true;
	return false;
}

static void default_env(struct run_options *options, const char *name, const char *value)
{
	if (value && !has_env(&options->env, name))
		string_list_add(&options->env, tool_format("%s=%s", name, value));
}

/* A later K=V replaces an earlier one, so a program sees each name once. */
static void drop_replaced_env(struct string_list *env)
{
	size_t kept = 0;

	for (size_t i = 0; i < env->count; i++) {
		size_t size = strcspn(env->item[i], "=") + 1;
		bool replaced = false;
		for (size_t j = i + 1; j < env->count; j++)
			replaced |= strncmp(env->item[i], env->item[j], size) == 0;
		if (replaced)
			free(env->item[i]);
		else
			env->item[kept++] = env->item[i];
	}
	env->count = kept;
	if (env->item)
		env->item[kept] = NULL;
}

static void add_defaults(struct run_options *options)
{
	if (!options->root && options->mount_count == 0)
		add_default_mounts(options);
	drop_replaced_env(&options->env);
	default_env(options, "PATH",
		    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	default_env(options, "HOME", options->uid == 0 && options->root ? "/root" : "/tmp");
	default_env(options, "TERM", getenv("TERM"));
	default_env(options, "LANG", getenv("LANG"));
}

int run_options_parse(struct run_options *options, int argc, char **argv)
{
	struct option long_options[OPTION_COUNT + 1] = { 0 };
	int index, result;

	*options = (struct run_options){ .cwd = "/", .snapshot_fd = -1 };
	for (index = 0; index < OPTION_COUNT; index++)
		long_options[index] = (struct option){ option_table[index].name, option_table[index].has_argument,
						       NULL, 256 + index };
	opterr = 0;
	optind = 1;
	/* '+': the program's own options are none of ours. */
	while ((result = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (result == 'h')
			options->help = true;
		else if (result >= 256 && option_table[result - 256].parse(options, optarg) < 0)
			return -1;
		else if (result == ':') {
			complain("%s needs a value", argv[optind - 1]);
			return -1;
		} else if (result == '?') {
			complain("unknown option '%s'; see pico --help", argv[optind - 1]);
			return -1;
		}
	}
	options->argv = argv + optind;
	options->argc = argc - optind;
	if (options->help)
		return 0;
	if (options->argc == 0) {
		complain("%s; see pico --help", strcmp(argv[0], "restore") ? "run: no program given" : "restore: no file given");
		return -1;
	}
	if (options->root_writable && !options->root) {
		complain("--root-rw needs --root DIR");
		return -1;
	}
	if (!strcmp(argv[0], "restore")) {
		options->snapshot = options->argv[0];
		if (options->argc > 1) {
			complain("restore: '%s' is one argument too many", options->argv[1]);
			return -1;
		}
	} else if (options->verify || options->changed_ok || options->add_pause || options->key) {
		complain("--verify, --changed-ok, --add-pause and --key are options of restore");
		return -1;
	}
	add_defaults(options);
	return 0;
}

void run_options_fini(struct run_options *options)
{
	for (size_t i = 0; i < options->mount_count; i++) {
		free(options->mounts[i].host);
		free(options->mounts[i].guest);
	}
	free(options->mounts);
	free(options->root);
	string_list_fini(&options->env);
	*options = (struct run_options){ 0 };
}
