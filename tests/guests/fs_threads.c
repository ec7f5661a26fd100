/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that make, move, list and delete the same names at once: every call
 * gives a result that some order of the calls explains, and nothing is left.
 */
#include "fs.h"
#include <dirent.h>
#include <pthread.h>

static int rounds = 400;

static void may(int r, int a, int b, int c)
{
	if (r < 0 && errno != a && errno != b && errno != c) {
		perror("unexpected");
		exit(1);
	}
}

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg;
	char a[64], b[64];

	for (int i = 0; i < rounds; i++) {
		snprintf(a, sizeof(a), "d%d/f%d", rand_r(&seed) % 3, rand_r(&seed) % 5);
		snprintf(b, sizeof(b), "d%d/f%d", rand_r(&seed) % 3, rand_r(&seed) % 5);
		switch (rand_r(&seed) % 8) {
		case 0: case 1: {
			int fd = open(a, O_CREAT | O_RDWR, 0644);
			may(fd, EISDIR, ENOENT, ENOENT);
			if (fd >= 0) {
				CHECK(write(fd, a, 5) == 5);
				close(fd);
			}
			break;
		}
		case 2: may(unlink(a), ENOENT, EISDIR, ENOENT); break;
		case 3: may(rename(a, b), ENOENT, EISDIR, ENOTDIR); break;
		case 4: may(link(a, b), ENOENT, EEXIST, EPERM); break;
		case 5: may(mkdir(a, 0755), EEXIST, ENOENT, ENOENT); break;
		case 6: may(rmdir(a), ENOENT, ENOTDIR, ENOTEMPTY); break;
		case 7: {
			struct stat st;
			may(stat(b, &st), ENOENT, ENOENT, ENOENT);
			DIR *d = opendir("d0");
			CHECK(d);
			while (readdir(d)) {}
			closedir(d);
		}
		}
	}
	return NULL;
}

/* Two threads move directories into each other: no circle may come out. */
static void *twist(void *arg)
{
	int way = (int)(size_t)arg;

	for (int i = 0; i < rounds; i++) {
		may(rename(way ? "x/a" : "x/b", way ? "x/b/a" : "x/a/b"), ENOENT, EINVAL, ENOTEMPTY);
		may(rename(way ? "x/b/a" : "x/a/b", way ? "x/a" : "x/b"), ENOENT, EINVAL, ENOTEMPTY);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[6];
	char name[64];

	fs_enter(argc, argv);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		CHECK(mkdir(name, 0755) == 0);
	}
	CHECK(mkdir("x", 0755) == 0 && mkdir("x/a", 0755) == 0 && mkdir("x/b", 0755) == 0);
	for (size_t i = 0; i < 6; i++)
		CHECK(pthread_create(&t[i], NULL, i < 4 ? churn : twist, (void *)(i < 4 ? i + 1 : i - 4)) == 0);
	for (int i = 0; i < 6; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 5; k++) {
			snprintf(name, sizeof(name), "d%d/f%d", i, k);
			if (unlink(name) && errno == EISDIR)
				CHECK(rmdir(name) == 0);
		}
		snprintf(name, sizeof(name), "d%d", i);
		CHECK(rmdir(name) == 0);
	}
	rmdir("x/a/b");
	rmdir("x/b/a");
	rmdir("x/a");
	rmdir("x/b");
	CHECK(rmdir("x") == 0);
	fs_leave();
	OK();
}
