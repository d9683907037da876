/* SPDX-License-Identifier: BSD-2-Clause */
/* What generated C headers of interfaces stand on: messages word by word, calls, and the loop of a server. For programs in C; in C++ use rpc.hpp,
   which describes the wire format. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Labels of replies: 0, or why a call failed (see RpcError in rpc.hpp). */
#define CAPROCK_RPC_NONE ((uint64_t)0)
#define CAPROCK_RPC_CALL_CANCELLED ((uint64_t)12)
#define CAPROCK_RPC_UNKNOWN_METHOD ((uint64_t)256)
#define CAPROCK_RPC_BAD_LENGTH ((uint64_t)257)
#define CAPROCK_RPC_BAD_ARGUMENT ((uint64_t)258)
#define CAPROCK_RPC_NOT_PROVIDED ((uint64_t)259)
#define CAPROCK_RPC_BAD_REPLY ((uint64_t)260)
#define CAPROCK_RPC_BUSY ((uint64_t)261)
#define CAPROCK_RPC_REFUSED ((uint64_t)262)
#define CAPROCK_RPC_MISSING_CAP ((uint64_t)263)
#define CAPROCK_RPC_PEER_RESTARTED ((uint64_t)264)
#define CAPROCK_RPC_STALE_INCARNATION ((uint64_t)265)
/* First number for errors of an interface's own. */
#define CAPROCK_RPC_FIRST ((uint64_t)1024)

/* How often an idempotent call is made when its reply is lost. */
#define CAPROCK_IDEMPOTENT_ATTEMPTS 16

/* A message under way. */
struct caprock_packet {
    uint64_t info;
    uint64_t badge;
    uint64_t registers[12];
    uint64_t *memory;
    uint64_t *caps;
    uint64_t received_slot;
    uint64_t received_badge;
};

/* Fills a packet from the front. */
struct caprock_writer {
    struct caprock_packet *packet;
    uint64_t length;
    uint64_t caps;
};

/* Reads a packet from the front; after the first error everything reads as zero. */
struct caprock_reader {
    const struct caprock_packet *packet;
    uint64_t length;
    uint64_t position;
    uint64_t error;
};

/* An empty packet of the calling thread. */
struct caprock_packet caprock_new_packet(void);
/* Sends the packet to an endpoint, and waits for the reply, which replaces it. */
void caprock_rpc_call(uint64_t endpoint, struct caprock_packet *packet);

struct caprock_writer caprock_write_to(struct caprock_packet *packet);
void caprock_put(struct caprock_writer *writer, uint64_t word);
/* Appends an array of scalars of 1, 2, 4 or 8 bytes. */
void caprock_put_array(struct caprock_writer *writer, const void *items, size_t count, size_t bytes);
void caprock_put_bytes(struct caprock_writer *writer, const void *bytes, size_t size);
/* Sends the capability in `slot` along; 0 for none. */
void caprock_put_cap(struct caprock_writer *writer, uint64_t slot);
/* Makes the packet ready to be sent: a request with the label of its method, a reply with 0. */
void caprock_finish(struct caprock_writer *writer, uint64_t label);

struct caprock_reader caprock_read_from(const struct caprock_packet *packet);
/* The label: a request's method, a reply's error. */
uint64_t caprock_label(const struct caprock_packet *packet);
/* True for the reply of a server that was restarted, or has dropped the call. */
bool caprock_is_lost(const struct caprock_packet *packet);
uint64_t caprock_take_unsigned(struct caprock_reader *reader, size_t bytes);
int64_t caprock_take_signed(struct caprock_reader *reader, size_t bytes);
bool caprock_take_bool(struct caprock_reader *reader);
/* Takes an array of scalars; `truth` says that they are bools. */
void caprock_take_array(struct caprock_reader *reader, void *items, size_t count, size_t bytes, bool truth);
/* Takes at most `capacity` bytes; gives their number. */
size_t caprock_take_bytes(struct caprock_reader *reader, void *bytes, size_t capacity);
/* The first error, also when words are left over. */
uint64_t caprock_check(struct caprock_reader *reader);

/* Takes over the capability that came with a packet: its slot, which caprock_release_cap makes free again; 0 when none came. */
uint64_t caprock_take_cap(struct caprock_packet *packet);
/* Deletes a received capability. */
void caprock_release_cap(uint64_t slot);
/* Deletes the capability that came with a packet, if any. */
void caprock_drop_cap(struct caprock_packet *packet);
/* Makes the packet the reply that says `error`. */
void caprock_reply_error(struct caprock_packet *packet, uint64_t error);

#ifdef __cplusplus
}
#endif
