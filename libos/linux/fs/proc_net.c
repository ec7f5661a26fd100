/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/net: the unix sockets, and the headings of the tables of a network
 * that is not there.
 */
#include "proc.h"
#include "linux/ipc/socket.h"

static int show_unix(struct pseudo *p, struct seq *s)
{
	(void)p;
	seq_puts(s, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	lock(&IPC->unix_lock);
	list_for_each(pos, &IPC->unix_all) {
		const struct unix_sock *u = list_entry(pos, struct unix_sock, all_node);
		const struct unix_address *a = u->address;

		if (!u->file)
			continue;
		seq_printf(s, "%016lx: %08X %08X %08X %04X %02X %5lu", 0ul, u->ref.count, 0u, u->state == UNIX_LISTENING ? 1u << 16 : 0u,
			u->type, u->state == UNIX_CONNECTED ? 3 : 1, (unsigned long)u->file->inode->ino);
		if (a) {
			seq_puts(s, " ");
			for (u32 i = 2; i < a->size && (a->name.data[i - 2] || i == 2); i++)
				seq_put(s, a->name.data[i - 2] ? (const char *)&a->name.data[i - 2] : "@", 1);
		}
		seq_puts(s, "\n");
	}
	unlock(&IPC->unix_lock);
	return 0;
}

#define INET "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
#define INET6 "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
const struct pseudo_entry proc_net_table[] = {
	PFILE("unix", show_unix),
	PTEXT("dev", "Inter-|   Receive                                                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"),
	PTEXT("tcp", INET "\n"), PTEXT("udp", INET " ref pointer drops\n"), PTEXT("raw", INET " ref pointer drops\n"),
	PTEXT("tcp6", INET6 "\n"), PTEXT("udp6", INET6 " ref pointer drops\n"), PTEXT("raw6", INET6 " ref pointer drops\n"),
	PTEXT("route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"),
	PTEXT("arp", "IP address       HW type     Flags       HW address            Mask     Device\n"),
	PTEXT("if_inet6", ""), PTEXT("ipv6_route", ""),
	{ .name = NULL },
};
