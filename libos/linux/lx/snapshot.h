/* SPDX-License-Identifier: Apache-2.0
 *
 * The format of this library OS's part of a snapshot, version 1 (docs/snapshot.md).
 * All places are relative to the part's beginning.
 */
#ifndef LX_SNAPSHOT_H
#define LX_SNAPSHOT_H

#include "base.h"

#define SNAPSHOT_TABLE_SIZE 65536ull
struct snapshot_entry { u64 mm_id, place, runs; }; /* mm_id 0: no more */
struct snapshot_run { u64 start, pages, place; };

#endif
