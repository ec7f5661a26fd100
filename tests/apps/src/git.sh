# SPDX-License-Identifier: Apache-2.0
# A repository of a few commits by hand, one of 5,000 by fast-import, and what is done with them.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=/tmp
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@x
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b main r; cd r
echo one >f; mkdir d; echo two >d/g; git add .; git commit -q -m first; git log --stat
echo more >>f; git stash; git status --short; git stash pop; git diff
git commit -qam second
git checkout -q -b topic HEAD~1; echo t >t; git add t; git commit -qm topic; git rebase -q main; git log --oneline --graph --all
git checkout -q main; git merge --no-ff -m merge topic; git log --oneline --graph
git tag -a v1 -m tag; git describe; git show v1 --stat
cd ..
awk 'BEGIN { for (i = 1; i <= 5000; i++) { m = "commit " i "\n"; c = "content " i "\n"; printf "commit refs/heads/main\nmark :%d\ncommitter C <c@x> %d +0000\ndata %d\n%s", i, 1600000000 + i * 60, length(m), m; if (i > 1) printf "from :%d\n", i - 1; printf "M 100644 inline dir%d/file%d\ndata %d\n%s\n", i % 10, i % 100, length(c), c } }' >stream
git init -q -b main big; cd big; git fast-import --quiet <../stream; git reset -q --hard
git rev-parse HEAD; git log --oneline | wc -l; git log -n 3 --stat; git log --follow --oneline dir1/file1 | wc -l
git fsck; git gc -q; git count-objects -v | grep -v size; git fsck
git rev-list --objects --all | md5sum; git blame dir1/file1 | md5sum
cd ..; git clone -q big c1; git clone -q --no-local --bare big c2; git -C c1 log --oneline | md5sum; git -C c2 rev-list --all --count
cd c1; for i in 1 2 3; do echo $i >>dir1/file1; git commit -qam "c $i"; done; git push -q ../c2 main; git -C ../c2 log -n 1 --oneline; git fetch -q ../c2;
git format-patch -q -3 -o p >/dev/null; git reset -q --hard HEAD~3; git am -q p/*; git log -n 1 --format='%s %T'
EDITOR=true GIT_SEQUENCE_EDITOR='sed -i 2s/pick/squash/' git rebase -q -i HEAD~2; git log -n 2 --format=%s%b
git grep -n 'content 49' | head -n 3; git archive HEAD | md5sum; git worktree add -q --detach ../wt HEAD~5; git worktree list | wc -l
git -c alias.x='!echo alias' x
echo '#!/bin/sh
echo hook $# ' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; git commit -q --allow-empty -m hooked
