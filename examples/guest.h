/* SPDX-License-Identifier: Apache-2.0
 *
 * What the longer examples share: options for a program of the host's own
 * system, mounted read-only.
 */
#ifndef EXAMPLE_GUEST_H
#define EXAMPLE_GUEST_H

#include <pico/pico.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const example_env[] = { "PATH=/usr/bin:/bin", NULL };

static inline void example_options(struct pico_options *options, const char *const *argv)
{
	static const char *const paths[] = { "/usr", "/bin", "/lib", "/lib64", "/etc" };
	static struct pico_mount mounts[5];
	size_t count = 0;

	for (size_t i = 0; i < 5; i++) {
		struct pico_mount mount = { paths[i], paths[i], PICO_MOUNT_READ_ONLY, 0 };
		if (access(paths[i], F_OK) == 0)
			mounts[count++] = mount;
	}
	pico_options_init(options);
	options->helper = getenv("PICO_HELPER"); /* NULL: where pico is installed */
	options->libos = getenv("PICO_LIBOS");
	options->program = argv[0];
	options->argv = argv;
	options->envp = example_env;
	options->mounts = mounts;
	options->mount_count = count;
}

#endif
