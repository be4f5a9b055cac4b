/* TLS as a machine in three ways, by the first byte: a certificate; a server that is fed anything;
 * or a proven pair, of which one side opens records that the other has sealed by a script. */
#include "controlplane/p2p/tls.h"
#include "controlplane/p2p/tls_certificate.h"

#include <openssl/evp.h>

#define NOW UINT64_C(1800000000)

struct side {
    struct haul_tls tls;
    uint8_t wire[16 << 10];
    size_t wire_bytes;
};

static const char *const muxers[] = { "/yamux/1.0.0" };
static struct haul_tls_identity identity;
static struct side client, server;

static void side_open(struct side *side, bool dialer)
{
    const struct haul_tls_conf conf = { .client = dialer,
                                        .identity = &identity,
                                        .muxers = muxers,
                                        .muxer_count = 1,
                                        .unix_seconds = NOW };

    side->wire_bytes = 0;
    haul_tls_init(&side->tls, &conf);
}

static void step(struct side *side, struct side *from)
{
    struct haul_in in = haul_in_from(from->wire, from->wire_bytes);
    struct haul_out out =
        haul_out_to(side->wire + side->wire_bytes, sizeof side->wire - side->wire_bytes);

    haul_tls_step(&side->tls, &in, &out);
    side->wire_bytes = (size_t)(out.at - side->wire);
    from->wire_bytes = haul_in_left(&in);
    memmove(from->wire, in.at, from->wire_bytes);
}

/* A record of any content under the right key: type, then so many bytes. */
static size_t seal_as(struct haul_tls_direction *seal, const uint8_t *inner, size_t bytes,
                      uint8_t *wire)
{
    uint8_t nonce[12];
    int written;

    wire[0] = 23;
    wire[1] = wire[2] = 3;
    wire[3] = (uint8_t)((bytes + 16) >> 8);
    wire[4] = (uint8_t)(bytes + 16);
    memcpy(nonce, seal->iv, sizeof nonce);
    nonce[11] ^= (uint8_t)seal->number;
    nonce[10] ^= (uint8_t)(seal->number >> 8);
    seal->number++;
    EVP_CipherInit_ex(seal->context, NULL, NULL, NULL, nonce, 1);
    EVP_CipherUpdate(seal->context, NULL, &written, wire, 5);
    EVP_CipherUpdate(seal->context, wire + 5, &written, inner, (int)bytes);
    EVP_CipherFinal_ex(seal->context, wire + 5 + bytes, &written);
    EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_GET_TAG, 16, wire + 5 + bytes);
    return 5 + bytes + 16;
}

static void script(struct haul_in *in)
{
    uint8_t wire[512];

    while (haul_in_left(in) > 0) {
        size_t bytes = haul_in_be(in, 1);
        size_t sealed, count = 0;
        uint8_t *data = NULL;

        if (bytes > haul_in_left(in))
            bytes = haul_in_left(in);
        sealed = seal_as(&server.tls.record.seal, haul_in_bytes(in, bytes), bytes, wire);
        if (!haul_tls_open(&client.tls.record, wire, sealed, &data, &count))
            return;
        haul_assert(count <= bytes);
        if (client.tls.record.update_wanted) {
            size_t wrote =
                haul_tls_seal(&client.tls.record, (const uint8_t *)"x", 1, NULL, 0, wire);

            haul_assert(wrote <= sizeof wire && !client.tls.record.update_wanted);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_in in = haul_in_from(data, size);
    uint64_t way = haul_in_be(&in, 1) % 3;
    static const uint8_t seed[32] = { 1 };
    struct haul_peer_id peer;
    struct haul_key key;

    if (identity.context == NULL) {
        haul_key_from_seed(&key, seed);
        haul_assert(haul_tls_identity_open(&identity, &key, NOW));
    }
    if (in.bad)
        return 0;
    if (way == 0) {
        if (haul_tls_certificate_verify(in.at, haul_in_left(&in), NOW, &peer))
            haul_assert(peer.length > 0);
        return 0;
    }
    side_open(&server, false);
    side_open(&client, true);
    if (way == 1) {
        client.wire_bytes =
            haul_in_left(&in) < sizeof client.wire ? haul_in_left(&in) : sizeof client.wire;
        memcpy(client.wire, in.at, client.wire_bytes);
        step(&server, &client);
    } else {
        for (int i = 0; i < 4; i++) {
            step(&client, &server);
            step(&server, &client);
        }
        haul_assert(client.tls.state == HAUL_TLS_DONE && server.tls.state == HAUL_TLS_DONE);
        script(&in);
    }
    haul_tls_fini(&client.tls);
    haul_tls_fini(&server.tls);
    return 0;
}
