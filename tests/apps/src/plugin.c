/* SPDX-License-Identifier: Apache-2.0
 *
 * A library for programs to load: one function, storage of a thread, a
 * constructor.
 */
int plus(int n);

static __thread int own = 100;
static int made;

__attribute__((constructor)) static void make(void) { made = 1000; }

int plus(int n)
{
	own += n;
	return own + made;
}
