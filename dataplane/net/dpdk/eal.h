/* DPDK's environment (EAL): started once a process, when a configuration asks for it, private to
 * this process, silent unless our own log says debug. What it refuses becomes an error of ours that
 * says what to do. Control thread, before the worker runs. Internal to dataplane/net/dpdk. */
#pragma once

#include "dataplane/net/net.h"

/* Starts the environment unless it runs, with `bytes` of memory at least. The calling thread keeps
 * the processors it may run on. */
HAUL_MUST_USE int haul_eal_start(const struct haul_net_port *port, size_t bytes,
                                 struct haul_error *error);

bool haul_eal_huge(void); /* its memory lies in huge pages */

/* The last thing that DPDK complained about; "" when it did not. Forgets it. */
void haul_eal_complaint(char *text, size_t bytes);

/* Whether `device` is a PCI address ("0000:3b:00.0", arguments may follow). */
bool haul_eal_is_card(const char *device);

/* The value of `key=` among a device's arguments; false when it is not there. */
bool haul_eal_argument(const char *device, const char *key, char *value, size_t bytes);

/* The capabilities that the device's driver wants and this thread has not, as text; "" when none is
 * known to be missing. */
void haul_eal_rights_missing(const char *device, char *text, size_t bytes);

/* Makes the device a port of DPDK; a card was made one at start. */
HAUL_MUST_USE int haul_eal_attach(const char *device, uint16_t *port, struct haul_error *error);
void haul_eal_detach(uint16_t port);

/* Gives the calling thread a number in DPDK, and with it caches of buffers of its own. */
void haul_eal_thread(void);
