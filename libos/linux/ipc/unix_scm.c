/* SPDX-License-Identifier: Apache-2.0
 *
 * Open files in flight through unix sockets, and the collector of sockets
 * that only their own queues keep alive.
 */
#include "socket.h"

enum { GC_ROOT, GC_SUSPECT, GC_REACHED };

void scm_drop(struct scm *scm)
{
	for (u32 i = 0; i < scm->file_count; i++)
		if (scm->files[i])
			file_put(scm->files[i]);
	kfree(scm->files);
	scm->files = NULL;
	scm->file_count = 0;
}

void unix_packet_free(struct unix_packet *p)
{
	struct unix_sock *s = p->sender;

	scm_drop(&p->scm);
	__atomic_fetch_sub(&s->wmem, p->charge, __ATOMIC_SEQ_CST);
	if (unix_writable(s))
		wake_queue(&s->wait, EV_OUT | EPOLLWRBAND);
	unix_put(s);
	kfree(p);
}

static void count(const struct scm *scm, int by)
{
	for (u32 i = 0; i < scm->file_count; i++)
		if (scm->files[i] && scm->files[i]->ops == &unix_file_ops)
			unix_of(scm->files[i])->in_flight += (u32)by;
	IPC->unix_in_flight += scm->file_count * (u32)by;
}

int scm_fly(struct scm *scm)
{
	int err = 0;

	lock(&IPC->unix_lock);
	if (IPC->unix_in_flight > rlimit_get(7 /* RLIMIT_NOFILE */) && !capable(24 /* SYS_RESOURCE */) && !capable(21 /* SYS_ADMIN */))
		err = -ETOOMANYREFS;
	else
		count(scm, 1);
	unlock(&IPC->unix_lock);
	return err;
}

void scm_land(struct scm *scm)
{
	if (scm->file_count)
		count(scm, -1);
}

/* Marks what the packets of a queue keep alive and lists it for its turn. */
static void reach_from(struct unix_sock *s, struct list *todo)
{
	lock(&s->lock);
	list_for_each(pos, &s->queue) {
		struct unix_packet *p;

		if (s->state == UNIX_LISTENING) { /* connections not yet accepted have queues of their own */
			reach_from(list_entry(pos, struct unix_sock, accept_node), todo);
			continue;
		}
		p = list_entry(pos, struct unix_packet, node);
		for (u32 i = 0; i < p->scm.file_count; i++) {
			struct unix_sock *t;

			if (p->scm.files[i]->ops != &unix_file_ops)
				continue;
			t = unix_of(p->scm.files[i]);
			if (t->gc_state == GC_SUSPECT) {
				t->gc_state = GC_REACHED;
				list_add_tail(todo, &t->gc_node);
			}
		}
	}
	unlock(&s->lock);
}

/* Takes packets that carry files out of a queue nobody can reach. */
static void strip(struct unix_sock *s, struct list *packets)
{
	lock(&s->lock);
	list_for_each_safe(pos, next, &s->queue) {
		struct unix_packet *p;

		if (s->state == UNIX_LISTENING) {
			strip(list_entry(pos, struct unix_sock, accept_node), packets);
			continue;
		}
		p = list_entry(pos, struct unix_packet, node);
		if (!p->scm.file_count)
			continue;
		scm_land(&p->scm);
		list_del(pos);
		list_add_tail(packets, pos);
		s->queue_count--;
		s->queue_bytes -= p->size - p->at;
	}
	unlock(&s->lock);
}

void unix_collect(void)
{
	struct list todo = LIST_INIT(todo), packets = LIST_INIT(packets);

	if (!__atomic_load_n(&IPC->unix_in_flight, __ATOMIC_RELAXED))
		return;
	lock(&IPC->unix_lock);
	list_for_each(pos, &IPC->unix_all) {
		struct unix_sock *s = list_entry(pos, struct unix_sock, all_node);
		bool suspect = s->file && s->in_flight && s->file->ref.count == s->in_flight;

		s->gc_state = suspect ? GC_SUSPECT : GC_ROOT;
	}
	list_for_each(pos, &IPC->unix_all) {
		struct unix_sock *s = list_entry(pos, struct unix_sock, all_node);

		if (s->gc_state == GC_ROOT && s->file)
			reach_from(s, &todo);
	}
	while (!list_empty(&todo)) {
		struct unix_sock *s = list_entry(todo.next, struct unix_sock, gc_node);

		list_del(&s->gc_node);
		reach_from(s, &todo);
	}
	list_for_each(pos, &IPC->unix_all) {
		struct unix_sock *s = list_entry(pos, struct unix_sock, all_node);

		if (s->gc_state == GC_SUSPECT)
			strip(s, &packets);
	}
	unlock(&IPC->unix_lock);
	list_for_each_safe(pos, next, &packets)
		unix_packet_free(list_entry(pos, struct unix_packet, node));
}
