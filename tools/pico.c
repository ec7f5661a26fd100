/* SPDX-License-Identifier: Apache-2.0
 *
 * The command-line tool: finds the command and prints what needs no instance.
 * The work of `pico run` is in run.c, its options in options.c.
 */
#include "tool.h"

#include <pico/pico.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help_text[] =
	"usage: pico run [OPTION]... [--] PROGRAM [ARG]...   run a program in a picoprocess\n"
	"       pico restore [OPTION]... FILE               go on from a snapshot\n"
	"       pico snapshot [--stop] [--key FILE] NAME FILE   store a running instance in a file\n"
	"       pico clone NAME [NEWNAME]                   run a copy of a running instance\n"
	"       pico ps                                     instances that have a name\n"
	"       pico inspect [--key FILE] FILE              what is in a snapshot\n"
	"       pico features                                what this host can promise\n"
	"       pico version                                 version of the library\n"
	"\n"
	"options of run and restore:\n"
	"  --mount HOST[:GUEST[:ro|rw]]  show a host directory or file to the program;\n"
	"                                read-only unless rw; \\: is a colon in a name\n"
	"  --root DIR                    host directory that is the program's /, read-only\n"
	"  --root-rw                     it may be written\n"
	"                                (neither --mount nor --root: the host's /usr, /bin,\n"
	"                                /sbin, /lib*, /etc, read-only)\n"
	"  --env K=V                     add to the environment; K alone: the caller's value\n"
	"  --cwd DIR                     directory to start in; default /\n"
	"  --memory SIZE                 limit of memory: 512M, 2G\n"
	"  --huge-pages[=SIZE]           anonymous mappings of this size (32M) and more in huge pages\n"
	"  --timeout SECONDS             end the program after this time, with status 124\n"
	"  --uid N, --gid N              ids the program sees as its own; default 0\n"
	"  --hostname NAME               host name the program sees\n"
	"  --libos FILE                  another library OS\n"
	"  --stats                       print what was used to standard error at the end\n"
	"  --no-patch                    leave the program's text as it is (PICO_NO_PATCH in the\n"
	"                                environment does the same); system calls are slower\n"
	"  --name NAME                   for snapshot, clone and ps\n"
	"  --verbose                     print what the library OS and the library log\n"
	"\n"
	"of restore only (mounts and the rest are granted anew; program, environment,\n"
	"ids and host name are the snapshot's):\n"
	"  --key FILE                    the key it was made with\n"
	"  --verify                      check all of it first\n"
	"  --changed-ok                  go on where a file has changed or is gone\n"
	"  --add-pause                   the program sees the time that passed\n"
	"\n"
	"The exit status is the program's; 128+N when signal N ended it; 124 out of time;\n"
	"125 pico itself failed; 126 PROGRAM cannot be executed; 127 it was not found.\n";

int command_help(void)
{
	fputs(help_text, stdout);
	return 0;
}

static int command_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("pico %s\n", pico_version());
	return 0;
}

static int command_help_arguments(int argc, char **argv)
{
	(void)argc, (void)argv;
	return command_help();
}

static const struct {
	uint64_t bit;
	bool required;
	const char *text;
} feature_table[] = {
	{ PICO_FEATURE_NOTIFY, false, "system-call notifications" },
	{ PICO_FEATURE_FSGSBASE, true, "FSGSBASE instructions" },
	{ PICO_FEATURE_HELPER, true, "helper program starts" },
	{ PICO_FEATURE_SYNC_WAKE_UP, false, "fast notifications (Linux 6.6)" },
	{ PICO_FEATURE_WAIT_KILLABLE, false, "uninterrupted notifications (Linux 5.19)" },
	{ PICO_FEATURE_USER_NAMESPACE, false, "user namespace" },
	{ PICO_FEATURE_MOUNT_NAMESPACE, false, "mount namespace" },
	{ PICO_FEATURE_NET_NAMESPACE, false, "network namespace" },
	{ PICO_FEATURE_IPC_NAMESPACE, false, "IPC namespace" },
	{ PICO_FEATURE_UTS_NAMESPACE, false, "host-name namespace" },
	{ PICO_FEATURE_PID_NAMESPACE, false, "process-id namespace" },
	{ PICO_FEATURE_EMPTY_ROOT, false, "empty root directory" },
	{ PICO_FEATURE_DROPPED_ROOT, false, "root's rights dropped" },
};

int command_features(int argc, char **argv)
{
	cleanup_string char *helper = find_program("pico-helper");
	struct pico_features features = { .size = sizeof(features) };
	int status = 0, result;

	(void)argc, (void)argv;
	if (!helper)
		return TOOL_EXIT_FAILED;
	result = pico_features(helper, &features);
	if (result < 0) {
		complain("features: %s", pico_strerror(result));
		return TOOL_EXIT_FAILED;
	}
	printf("%-42s %s\n", "kernel", features.kernel);
	for (size_t i = 0; i < sizeof(feature_table) / sizeof(feature_table[0]); i++) {
		bool have = features.have & feature_table[i].bit;
		const char *lack = feature_table[i].required ? "no (required)" : "no";

		if (feature_table[i].bit == PICO_FEATURE_DROPPED_ROOT && geteuid() != 0)
			lack = "not root";
		printf("%-42s %s\n", feature_table[i].text, have ? "yes" : lack);
		if (!have && feature_table[i].required)
			status = 1;
	}
	if (features.missing[0])
		printf("%-42s %s\n", "missing", features.missing);
	return status;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} command_table[] = {
	{ "run", command_run },
	{ "features", command_features },
	{ "version", command_version },
	{ "--version", command_version },
	{ "help", command_help_arguments },
	{ "restore", command_restore },
	{ "snapshot", command_snapshot },
	{ "clone", command_clone },
	{ "ps", command_ps },
	{ "inspect", command_inspect },
	{ "--help", command_help_arguments },
	{ "-h", command_help_arguments },
};

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(help_text, stderr);
		return TOOL_EXIT_FAILED;
	}
	for (size_t i = 0; i < sizeof(command_table) / sizeof(command_table[0]); i++)
		if (strcmp(argv[1], command_table[i].name) == 0)
			return command_table[i].run(argc - 1, argv + 1);
	complain("unknown command '%s'; see pico --help", argv[1]);
	return TOOL_EXIT_FAILED;
}
