/* SPDX-License-Identifier: Apache-2.0
 *
 * The rest of a C library that leans on its system: names of hosts without a
 * network, locales, character sets, sorting more than fits a cache, streams of
 * stdio, temporary files, directories, users, loading of libraries.
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <iconv.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <search.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void sorting(void)
{
	const size_t n = 10000000;
	uint32_t *v = malloc(n * sizeof(*v)), x = 1;
	uint64_t sum = 0, again = 0;
	CHECK(v != NULL);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		v[i] = x;
		sum += x;
	}
	qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++) {
		CHECK(i == 0 || v[i - 1] <= v[i]);
		again += v[i];
	}
	CHECK(sum == again && bsearch(&v[n / 3], v, n, sizeof(*v), compare) != NULL);
	free(v);
}

static void memory(void)
{
	void *p[1000];
	unsigned seed = 5;
	memset(p, 0, sizeof(p));
	for (int i = 0; i < 200000; i++) {
		size_t k = (size_t)(rand_r(&seed) % 1000), size = (size_t)rand_r(&seed) % (i % 100 ? 500 : 300000);
		p[k] = realloc(p[k], size + 8);
		CHECK(p[k] != NULL);
		memset(p[k], (int)k, size + 8);
	}
	for (int i = 0; i < 1000; i++)
		free(p[i]);
	CHECK(posix_memalign(&p[0], 1 << 21, 1 << 21) == 0 && (uintptr_t)p[0] % (1 << 21) == 0);
	free(p[0]);
	errno = 0;
	void *volatile none = malloc((size_t)1 << 62);
	CHECK(none == NULL && errno == ENOMEM);
}

static void streams(void)
{
	char name[] = "stdio.XXXXXX", line[64], *text = NULL;
	size_t size = 0;
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "w+");
	CHECK(f != NULL);
	for (int i = 0; i < 20000; i++)
		CHECK(fprintf(f, "%d %5.2f %s\n", i, i / 3.0, "word") > 0);
	CHECK(fflush(f) == 0 && ftell(f) > 300000);
	rewind(f);
	for (int i = 0; i < 20000; i++) {
		int n;
		double d;
		CHECK(fscanf(f, "%d %lf %63s", &n, &d, line) == 3 && n == i && fabs(d - i / 3.0) < 0.01);
	}
	CHECK(fseek(f, -3, SEEK_END) == 0 && fgetc(f) == 'r' && ungetc('Q', f) == 'Q' && fgetc(f) == 'Q');
	CHECK(freopen(name, "r", f) == f && fgets(line, sizeof(line), f) != NULL && !strcmp(line, "0  0.00 word\n"));
	CHECK(fclose(f) == 0 && unlink(name) == 0);
	f = open_memstream(&text, &size);
	for (int i = 0; i < 1000; i++)
		fputs("0123456789", f);
	CHECK(fclose(f) == 0 && size == 10000 && text[9999] == '9');
	free(text);
	f = tmpfile();
	CHECK(f != NULL && fputs("x", f) >= 0 && fclose(f) == 0);
	CHECK(fopen("no/such", "r") == NULL && errno == ENOENT);
}

static int visited;
static int visit(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)path, (void)st, (void)f;
	visited++;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

static void directories(void)
{
	char base[] = "tree.XXXXXX", name[64];
	struct dirent **list;
	glob_t g;
	CHECK(mkdtemp(base) != NULL);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), i % 4 ? "%s/f%02d" : "%s/d%02d", base, i);
		if (i % 4) {
			int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
			CHECK(fd >= 0 && close(fd) == 0);
		} else {
			CHECK(mkdir(name, 0755) == 0);
		}
	}
	CHECK(scandir(base, &list, NULL, alphasort) == 42 && !strcmp(list[2]->d_name, "d00") && list[2]->d_type == DT_DIR);
	for (int i = 0; i < 42; i++)
		free(list[i]);
	free(list);
	snprintf(name, sizeof(name), "%s/f?[13]", base);
	CHECK(glob(name, 0, NULL, &g) == 0 && g.gl_pathc == 8);
	globfree(&g);
	CHECK(nftw(base, visit, 10, FTW_DEPTH | FTW_PHYS) == 0 && visited == 41);
	FAILS(access(base, F_OK), ENOENT);
	char *cwd = getcwd(NULL, 0), *real = realpath(".", NULL);
	CHECK(cwd && real && !strcmp(cwd, real));
	free(cwd), free(real);
}

static void names(void)
{
	struct utsname u;
	CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
	CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_NPROCESSORS_ONLN) > 0 && sysconf(_SC_PHYS_PAGES) > 0);
#ifdef GUEST_DYNAMIC
	/* Where there is a table of users, root is in it. */
	struct passwd *pw;
	if (access("/etc/passwd", R_OK) == 0 && (pw = getpwuid(0)) != NULL)
		CHECK(!strcmp(pw->pw_name, "root"));
#endif
	struct tm tm;
	time_t t = 86400 * 365, back;
	CHECK(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1) == 0);
	tzset();
	CHECK(localtime_r(&t, &tm) && tm.tm_hour == 1 && (back = mktime(&tm)) == t);
}

static void characters(void)
{
	char in[] = "gr\xc3\xbc\xc3\x9f", out[64], *i = in, *o = out;
	size_t in_left = strlen(in), out_left = sizeof(out);
	wchar_t wide[16];
	CHECK(setlocale(LC_ALL, "C") && !strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968"));
	if (setlocale(LC_ALL, "C.UTF-8")) {
		CHECK(!strcmp(nl_langinfo(CODESET), "UTF-8") && MB_CUR_MAX == 6);
		CHECK(mbstowcs(wide, in, 16) == 4 && wide[2] == 0xfc);
		CHECK(wcswidth(wide, 4) == 4);
	}
	CHECK(!setlocale(LC_ALL, "xx_YY.no-such"));
	setlocale(LC_ALL, "C");
	iconv_t c = iconv_open("UTF-16LE", "UTF-8");
	CHECK(c != (iconv_t)-1 && iconv(c, &i, &in_left, &o, &out_left) == 0 && o - out == 8 && (unsigned char)out[4] == 0xfc);
	CHECK(iconv_close(c) == 0);
#ifdef GUEST_DYNAMIC
	/* These are loaded. */
	static const char *const sets[][2] = { { "ISO-8859-15", "\xa4" }, { "CP1252", "\x80" }, { "ISO-8859-16", "\xa4" } };
	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
		char euro[4], *from = (char *)(uintptr_t)sets[k][1], *to = euro;
		size_t from_left = 1, to_left = sizeof(euro);
		c = iconv_open("UTF-8", sets[k][0]);
		CHECK(c != (iconv_t)-1 && iconv(c, &from, &from_left, &to, &to_left) == 0);
		CHECK(to - euro == 3 && !memcmp(euro, "\xe2\x82\xac", 3) && iconv_close(c) == 0);
	}
#endif
}

#ifdef GUEST_DYNAMIC
static void *in_thread(void *symbol)
{
	double (*cosine)(double) = (double (*)(double))(uintptr_t)symbol;
	return cosine(0.0) > 0.99 ? NULL : symbol;
}

static void libraries(void)
{
	pthread_t t;
	void *r;
	for (int i = 0; i < 20; i++) {
		void *m = dlopen("libm.so.6", i % 2 ? RTLD_NOW : RTLD_LAZY | RTLD_LOCAL);
		CHECK(m != NULL);
		void *symbol = dlsym(m, "cos");
		CHECK(symbol != NULL);
		CHECK(pthread_create(&t, NULL, in_thread, symbol) == 0 && pthread_join(t, &r) == 0 && r == NULL);
		CHECK(dlsym(m, "no_such_symbol") == NULL && dlerror() != NULL);
		CHECK(dlclose(m) == 0);
	}
	/* One with thread-local storage, loaded after threads were made, and unloaded. */
	void *resolver = dlopen("libresolv.so.2", RTLD_NOW);
	CHECK(resolver != NULL && dlclose(resolver) == 0);
	CHECK(dlopen("no-such-library.so", RTLD_NOW) == NULL && strstr(dlerror(), "no-such-library") != NULL);
	Dl_info info;
	CHECK(dladdr((void *)(uintptr_t)printf, &info) != 0 && strstr(info.dli_fname, "libc.so") != NULL);
	void *second = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	CHECK(second != NULL && dlsym(second, "printf") != (void *)(uintptr_t)printf && dlclose(second) == 0);
}

static void hosts(void)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *list;
	struct timespec a, b;
	CHECK(getaddrinfo("127.0.0.1", "80", &hints, &list) == 0 && list->ai_family == AF_INET);
	freeaddrinfo(list);
	CHECK(getaddrinfo("::1", NULL, &hints, &list) == 0 && list->ai_family == AF_INET6);
	freeaddrinfo(list);
	CHECK(getaddrinfo("localhost", NULL, &hints, &list) == EAI_NONAME);
	/* With a table of hosts it is in it; without, there is nobody to ask. No
	 * network is an answer, not something to wait for. */
	hints.ai_flags = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	int r = getaddrinfo("localhost", NULL, &hints, &list);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK(b.tv_sec - a.tv_sec < 5);
	if (access("/etc/hosts", R_OK) == 0)
		CHECK(r == 0);
	CHECK(r == 0 || r == EAI_NONAME || r == EAI_AGAIN || r == EAI_FAIL || r == EAI_SYSTEM || r == EAI_SERVICE);
	if (r == 0)
		freeaddrinfo(list);
	char host[65];
	CHECK(gethostname(host, sizeof(host)) == 0 && host[0]);
}
#endif

int main(void)
{
#ifdef GUEST_DYNAMIC
	libraries();
	hosts();
#endif
	memory();
	streams();
	directories();
	names();
	characters();
	sorting();
	OK();
}
