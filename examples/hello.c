/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest host application: runs the host's /bin/echo in a picoprocess.
 * cc hello.c $(pkg-config --cflags --libs pico)
 */
#include <pico/pico.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	static const struct pico_mount mounts[] = {
		{ "/usr", "/usr", PICO_MOUNT_READ_ONLY, 0 }, { "/lib", "/lib", PICO_MOUNT_READ_ONLY, 0 },
		{ "/bin", "/bin", PICO_MOUNT_READ_ONLY, 0 }, { "/lib64", "/lib64", PICO_MOUNT_READ_ONLY, 0 },
	};
	static const char *const argv[] = { "echo", "hello from inside", NULL };
	struct pico_options options;
	struct pico_exit end;
	struct pico *guest;

	pico_options_init(&options);
	options.helper = getenv("PICO_HELPER"); /* NULL: where pico is installed */
	options.libos = getenv("PICO_LIBOS");
	options.program = "/bin/echo";
	options.argv = argv;
	options.mounts = mounts;
	options.mount_count = 4;
	options.stdio[1].kind = PICO_STDIO_INHERIT;
	if (pico_create(&options, &guest, NULL) < 0 || pico_start(guest) < 0 || pico_wait(guest, -1, &end) < 0)
		return 1;
	printf("it ended with %d\n", end.code);
	pico_destroy(guest);
	return 0;
}
