#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# ffmpeg: a clip made and transcoded by several codecs, four threads each; every
# byte is as on the host.
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$srcdir/tests/tap.sh"
. "$srcdir/tests/apps/compare.sh"
compare_limit=90

if ! command -v ffmpeg >/dev/null; then
	skip 'ffmpeg' 'ffmpeg is not installed'
	tap_end
fi
ffmpeg=(ffmpeg -hide_banner -nostdin -loglevel error)
exact=(-threads 4 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact)

fixture()
{
	"${ffmpeg[@]}" -f lavfi -i testsrc=size=640x360:rate=25:duration=4 -f lavfi -i sine=frequency=440:duration=4 \
		-c:v mpeg4 -q:v 4 -c:a pcm_s16le "${exact[@]}" clip.mkv
	head -c 50000 clip.mkv >short.mkv
	: >stdin
}

# transcode NAME ENCODER ARGUMENT...
transcode()
{
	local name=$1 encoder=$2
	shift 2
	if ffmpeg -hide_banner -encoders 2>/dev/null | grep -q " $encoder "; then
		compare "$name" rw "${ffmpeg[@]}" -threads 4 "$@" -c:v "$encoder" "${exact[@]}" out.mkv
	else
		skip "$name" "ffmpeg has no $encoder here"
	fi
}

compare_reset
transcode 'generated, mpeg4' mpeg4 -f lavfi -i testsrc=size=640x360:rate=25:duration=4 -q:v 5
transcode 'mpeg4 to ffv1 and flac, smaller' ffv1 -i clip.mkv -vf scale=320:180 -slices 4 -c:a flac
transcode 'mpeg4 to h264 and aac' libx264 -i clip.mkv -preset veryfast -c:a aac
transcode 'mpeg4 to mpeg2' mpeg2video -i clip.mkv -q:v 3 -an
compare 'frames as pictures' rw "${ffmpeg[@]}" -i clip.mkv -vf fps=5 "${exact[@]}" %03d.png
compare 'a file cut short' ro ffmpeg -nostdin -v quiet -i short.mkv -f md5 -
tap_end
