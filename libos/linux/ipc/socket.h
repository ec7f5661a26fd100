/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets: what the system calls (sys/socket.c, sys/sockmsg.c) ask of a family
 * of sockets, and what the parts of the unix family share. A second family
 * adds its own struct socket_ops; the system calls do not change.
 */
#ifndef LX_IPC_SOCKET_H
#define LX_IPC_SOCKET_H

#include "ipc.h"

#define AF_UNSPEC 0u
#define AF_UNIX 1u
#define AF_NETLINK 16u
#define AF_MAX 46u
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5 };
#define SOCK_TYPE_MASK 0xfu
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SCM_MAX_FD 253u
#define MSG_OOB 1u
#define MSG_PEEK 2u
#define MSG_CTRUNC 8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_EOR 0x80u
#define MSG_WAITALL 0x100u
#define MSG_NOSIGNAL 0x4000u
#define MSG_WAITFORONE 0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define SHUT_RECEIVE 1u /* bits kept in a socket: how + 1 */
#define SHUT_SEND 2u

struct sockaddr { u16 family; u8 data[126]; }; /* room for any */
struct ucred { s32 pid; u32 uid, gid; };
struct scm { struct file **files; u32 file_count; bool has_creds; struct ucred creds; };

/* One transfer. The caller owns everything in it. */
struct message {
	struct iobuf data;
	struct sockaddr name; u32 name_size; /* send: to whom, 0: nobody; receive: from whom */
	struct scm scm; /* send: taken over when sent; receive: filled, the caller installs and drops the files */
	u32 flags; /* MSG_ of the call; O_NONBLOCK is added as MSG_DONTWAIT */
	u32 out_flags; /* MSG_ of the answer */
	bool want_creds;
};

struct socket_ops {
	int (*bind)(struct file *f, const struct sockaddr *a, u32 size);
	int (*connect)(struct file *f, const struct sockaddr *a, u32 size);
	int (*listen)(struct file *f, int backlog);
	struct file *(*accept)(struct file *f, u32 o_flags); /* ERR_PTR */
	int (*name)(struct file *f, struct sockaddr *a, bool peer); /* size or -errno */
	s64 (*send)(struct file *f, struct message *m);
	s64 (*receive)(struct file *f, struct message *m);
	int (*shutdown)(struct file *f, u32 bits);
	int (*set_option)(struct file *f, int level, int option, uaddr value, u32 size);
	int (*get_option)(struct file *f, int level, int option, void *value, u32 *size); /* value has room for 1024 bytes */
};
const struct socket_ops *socket_ops_of(const struct file *f); /* NULL: no socket */

int socket_timeout_from_user(uaddr at, u32 size, u64 *out); /* of SO_RCVTIMEO, SO_SNDTIMEO */

/* ---- netlink.c ---- */
extern const struct file_ops netlink_file_ops;
extern const struct socket_ops netlink_socket_ops;
int netlink_create(u32 type, u32 protocol, u32 o_flags, struct file **out);
int netlink_send(struct file *f, const void *data, u32 size); /* from the kernel to a socket; -ENOMEM */
struct file *netlink_from_fd(int fd); /* reference; ERR_PTR: -EBADF, -ENOTSOCK, -EINVAL */

/* ---- the unix family ---- */
enum unix_state { UNIX_UNCONNECTED, UNIX_LISTENING, UNIX_CONNECTED, UNIX_DEAD };
struct unix_address { struct ref ref; u32 size; struct sockaddr name; u32 hash; };
struct unix_packet {
	struct list node;
	struct unix_sock *sender; /* reference; its wmem carries the charge */
	u32 size, at, charge;
	struct ucred creds;
	struct scm scm;
	u8 data[];
};
struct unix_sock {
	struct ref ref; /* its file, peers, packets it sent, an accept queue */
	struct lock lock; /* queue, error, options; inside ipc->unix_lock, by address among equals */
	u16 type;
	u8 state, shutdown; /* changed under unix_lock and lock */
	u8 passcred, reuse, keepalive, broadcast, linger_on, timestamp;
	struct file *file; /* no reference; NULL before accept and after close */
	struct wait_queue wait;
	struct list queue; u32 queue_count; u64 queue_bytes; /* packets; when listening: embryos by accept_node */
	struct list accept_node, all_node, name_node, gc_node;
	struct unix_sock *peer; /* reference; changed under unix_lock and lock */
	struct unix_address *address; /* reference; under unix_lock */
	struct path path; struct inode *bound_inode; /* of a path name */
	struct ucred peer_creds;
	u64 wmem; /* bytes of what it sent and nobody has read; atomic */
	u32 sndbuf, rcvbuf, lowat, backlog, linger_seconds, priority;
	u64 receive_timeout, send_timeout; /* ns; PICO_FOREVER, 0: do not wait */
	int error;
	u32 in_flight; /* references to file that lie in queues; under unix_lock */
	u32 gc_state;
};
extern const struct file_ops unix_file_ops;
static inline struct unix_sock *unix_of(const struct file *f) { return f->data; }
static inline bool unix_is_stream(const struct unix_sock *s) { return s->type == SOCK_STREAM; }
static inline bool unix_connects(const struct unix_sock *s) { return s->type != SOCK_DGRAM; }
static inline bool unix_writable(const struct unix_sock *s) { return __atomic_load_n(&s->wmem, __ATOMIC_RELAXED) * 4 <= s->sndbuf; }

static inline int unix_take_error(struct unix_sock *s)
{
	return likely(!s->error) ? 0 : -__atomic_exchange_n(&s->error, 0, __ATOMIC_ACQ_REL);
}
void unix_put(struct unix_sock *s);
bool unix_purge(struct unix_sock *s); /* empties the queue; no lock held */
static inline struct unix_sock *unix_get(struct unix_sock *s) { ref_get(&s->ref); return s; }
void unix_address_put(struct unix_address *a);
struct ucred ucred_current(void);
/* Whom an address names; a reference; ERR_PTR. */
struct unix_sock *unix_find(const struct sockaddr *a, u32 size, u32 type);
int unix_autobind(struct unix_sock *s);
struct unix_sock *unix_peer(struct unix_sock *s); /* reference or NULL */
int unix_create(u32 type, u32 o_flags, struct file **out); /* type as of the caller: SOCK_ */
int unix_pair(u32 type, u32 o_flags, struct file *out[2]);
s64 unix_send(struct file *f, struct message *m);
s64 unix_receive(struct file *f, struct message *m);
int unix_set_option(struct file *f, int level, int option, uaddr value, u32 size);
int unix_get_option(struct file *f, int level, int option, void *value, u32 *size);
u32 unix_poll(struct file *f, struct poll_table *t);
long unix_ioctl(struct file *f, u32 cmd, u64 arg);
u64 socket_deadline(u64 timeout, u32 flags); /* of a call that begins now; 0: do not wait */
int socket_wait_error(int err, u64 timeout); /* what an ended wait returns */

/* unix_scm.c */
void unix_packet_free(struct unix_packet *p); /* no lock held */
int scm_fly(struct scm *scm); /* its files are about to be queued: -ETOOMANYREFS */
void scm_land(struct scm *scm); /* they left the queue; unix_lock held */
void scm_drop(struct scm *scm); /* drops the files; no lock held */
void unix_collect(void); /* sockets only reachable from queues of themselves; no lock held */

#endif
