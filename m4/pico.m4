# SPDX-License-Identifier: Apache-2.0
#
# PICO_CHECK_CFLAGS(VARIABLE, FLAGS): substitute VARIABLE with those of FLAGS
# that the compiler takes without a word.
AC_DEFUN([PICO_CHECK_CFLAGS], [
	$1=
	pico_save_CFLAGS=$CFLAGS
	for pico_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC takes $pico_flag])
		CFLAGS="-Werror $pico_flag"
		AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int pico_conftest;]])],
			[AC_MSG_RESULT([yes])
			 $1="$$1 $pico_flag"],
			[AC_MSG_RESULT([no])])
	done
	CFLAGS=$pico_save_CFLAGS
	AC_SUBST([$1])
])
