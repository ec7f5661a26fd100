# SPDX-License-Identifier: Apache-2.0
# tmux: a server, two panes with shells, driven by keys; run by bash.
exec 2>&1
export TERM=screen LC_ALL=C.UTF-8 PS1='$ ' HOME=/tmp
t() { tmux -S socket -f /dev/null "$@"; }
# until_shows PANE PATTERN
until_shows()
{
	for _ in {1..200}; do
		t capture-pane -p -t "$1" | grep -q -e "$2" && return
		sleep 0.05
	done
	echo "no $2 in pane $1:"
	t capture-pane -p -t "$1"
}
t new-session -d -x 80 -y 24 'PS1="$ " bash --norc --noprofile'
until_shows 0 '[$#]'
t split-window 'PS1="$ " bash --norc --noprofile'
until_shows 1 '[$#]'
t send-keys -t 0.0 'echo $((6*7)); tty | sed "s/[0-9]*$//"; stty size' Enter
until_shows 0.0 '^12 80'
t send-keys -t 0.1 'sleep 100' Enter
until [ "$(t display-message -p -t 0.1 '#{pane_current_command}')" = sleep ]; do sleep 0.05; done
t send-keys -t 0.1 C-z
until_shows 0.1 Stopped
t send-keys -t 0.1 'fg' Enter
until [ "$(t display-message -p -t 0.1 '#{pane_current_command}')" = sleep ]; do sleep 0.05; done
t send-keys -t 0.1 C-c
until_shows 0.1 '\^C'
t send-keys -t 0.1 'echo status $?' Enter
until_shows 0.1 '^status 130'
t capture-pane -p -t 0.0
t capture-pane -p -t 0.1
t resize-pane -t 0.1 -y 5
t send-keys -t 0.1 'clear; stty size' Enter
until_shows 0.1 '^5 80'
t list-panes -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command}'
t send-keys -t 0.1 'exit 3' Enter
until [ "$(t list-panes | wc -l)" = 1 ]; do sleep 0.05; done
t new-window -d 'echo from a window >said; sleep 100'
until [ -s said ]; do sleep 0.05; done
cat said
t list-windows -F '#{window_index}'
t kill-server
until ! t has-session 2>/dev/null; do sleep 0.05; done
echo ended
