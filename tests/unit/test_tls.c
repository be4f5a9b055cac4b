/* TLS as libp2p uses it: the specification's certificates and nasty ones, the handshake of two
 * machines, and the records behind it. */
#include "controlplane/p2p/tls.h"
#include "controlplane/p2p/tls_certificate.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define NOW  UINT64_C(1800000000)
#define YEAR UINT64_C(31536000)

/* --- certificates --- */

/* libp2p/specs, tls/tls.md, test vectors; with CORE the part that all have in common. */
#define CORE                                                                                       \
    "a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69627032702e696f31" \
    "0a300806035504051301313020170d3735303130313133303030305a180f34303936303130313133303030305a30" \
    "2031123010060355040a13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d0201" \
    "06082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd60133" \
    "1c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea3"
static const struct {
    const char *der, *peer;
} vectors[] = {
    { "308201ae30820156" CORE "7c307a3078060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59"
      "dddaea5a1c4abd1ac2fbde7d7"
      "b879ed364501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941c"
      "a"
      "c215a8207792e42849cccc6cd8136c6e4bde92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d0403020346"
      "0"
      "03043021f50f6b6c52711a881778718238f650c9fb48943ae6ee6d28427dc6071ae55e702203625f116a7a454db9"
      "c"
      "56986c82a25682f7248ea1cb764d322ea983ed36a31b77",
      "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv" },
    { "308201f63082019d" CORE "81c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059"
      "301306072a8648ce3d0201060"
      "82a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d"
      "5"
      "2da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f2044730450220064ea8124774caf8f50e"
      "5"
      "7f436aa62350ce652418c019df5d98a3ac666c9386a022100aa59d704a931b5f72fb9222cb6cc51f954d04a4e2e5"
      "4"
      "50f8805fe8918f71eaae300a06082a8648ce3d04030203470030440220799395b0b6c1e940a7e4484705f610ab51"
      "e"
      "d376f19ff9d7c16757cfbf61b8d4302206205c03fbb0f95205c779be86581d3e31c01871ad5d1f3435bcf375cb0e"
      "5"
      "088a",
      "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE" },
    { "308201ba3082015f" CORE "8184308181307f060a2b0601040183a25a01010471306f0425080212210206dc6968"
      "726765b820f050263ececf7f7"
      "1e4955892776c0970542efd689d2382044630440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a385eed"
      "c"
      "34ecf464c7a8ab022026b3109b8a3f40ef833169777eb2aa337cfb6282f188de0666d1bcec2a4690dd300a06082a"
      "8"
      "648ce3d0403020349003046022100e1a217eeef9ec9204b3f774a08b70849646b6a1e6b8b27f93dc00ed58545d9f"
      "e"
      "022100b00dafa549d0f03547878338c7b15e7502888f6d45db387e5ae6b5d46899cef0",
      "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs" },
    { "308201f73082019d" CORE "81c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059"
      "301306072a8648ce3d0201060"
      "82a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d"
      "5"
      "2da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204473045022100bb6e03577b7cc7a3cd"
      "1"
      "558df0da2b117dfdcc0399bc2504ebe7de6f65cade72802206de96e2a5be9b6202adba24ee0362e490641ac45c24"
      "0"
      "db71fe955f2c5cf8df6e300a06082a8648ce3d0403020348003045022100e847f267f43717358f850355bdcabbef"
      "b"
      "2cfbf8a3c043b203a14788a092fe8db022027c1d04a2d41fd6b57a7e8b3989e470325de4406e52e084e34a3fd56e"
      "e"
      "f0d0df",
      NULL },
};

static struct haul_key key_of(uint8_t seed)
{
    uint8_t secret[32];
    struct haul_key key;

    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&key, secret);
    return key;
}

static void the_certificates_of_the_specification_are_judged_as_it_says(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        uint8_t der[1024];
        size_t bytes = unit_hex(vectors[i].der, der, sizeof der);
        char text[HAUL_PEER_ID_TEXT_BYTES];
        struct haul_peer_id peer;
        bool good = haul_tls_certificate_verify(der, bytes, NOW, &peer);

        CU_ASSERT_EQUAL(good, vectors[i].peer != NULL);
        if (!good || vectors[i].peer == NULL)
            continue;
        haul_peer_id_print(&peer, text);
        CU_ASSERT_STRING_EQUAL(text, vectors[i].peer);
    }
}

static void a_cut_longer_or_changed_certificate_is_refused(void)
{
    uint8_t der[1024], changed[1024];
    size_t bytes = unit_hex(vectors[0].der, der, sizeof der);
    struct haul_peer_id peer;

    for (size_t i = 0; i < bytes; i++)
        CU_ASSERT_FALSE(haul_tls_certificate_verify(der, i, NOW, &peer));
    memcpy(changed, der, bytes);
    changed[bytes] = 0;
    CU_ASSERT_FALSE(haul_tls_certificate_verify(changed, bytes + 1, NOW, &peer));
    for (size_t i = 0; i < bytes; i++) {
        changed[i] ^= 1;
        CU_ASSERT_FALSE(haul_tls_certificate_verify(changed, bytes, NOW, &peer));
        changed[i] ^= 1;
    }
}

/* Our own certificate, changed by `twist` and signed again by its key. */
enum twist {
    AS_IT_IS,
    EXPIRED,
    NOT_YET,
    CRITICAL_UNKNOWN,
    CRITICAL_KNOWN,
    WITHOUT_EXTENSION,
    EXTENSION_TWICE,
    FOREIGN_KEY, /* the identity vouches for another certificate's key */
    SIGNED_BY_OTHER,
    WEAK_HASH,
    TWISTS,
};

static void add_unknown(X509 *certificate, bool critical)
{
    ASN1_OBJECT *id = OBJ_txt2obj("1.2.3.4", 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    CU_ASSERT_EQUAL(ASN1_OCTET_STRING_set(octets, (const uint8_t *)"\x05\0", 2), 1);
    extension = X509_EXTENSION_create_by_OBJ(NULL, id, critical, octets);
    CU_ASSERT_EQUAL(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(id);
}

static void twist_extensions(X509 *certificate, enum twist twist)
{
    X509_EXTENSION *extension;

    if (twist == CRITICAL_UNKNOWN)
        add_unknown(certificate, true);
    if (twist == AS_IT_IS)
        add_unknown(certificate, false);
    if (twist == CRITICAL_KNOWN) {
        extension = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "critical,digitalSignature");
        CU_ASSERT_EQUAL(X509_add_ext(certificate, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    if (twist == WITHOUT_EXTENSION)
        X509_EXTENSION_free(X509_delete_ext(certificate, 0));
    if (twist == EXTENSION_TWICE)
        CU_ASSERT_EQUAL(X509_add_ext(certificate, X509_get_ext(certificate, 0), -1), 1);
}

static size_t twisted(enum twist twist, uint8_t *der)
{
    struct haul_key key = key_of(7);
    EVP_PKEY *own = NULL, *other = EVP_EC_gen("P-256");
    X509 *certificate = NULL;
    size_t bytes;

    haul_tls_certificate_make(&key, NOW, &own, &certificate);
    CU_ASSERT_PTR_NOT_NULL_FATAL(certificate);
    twist_extensions(certificate, twist);
    if (twist == EXPIRED)
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)NOW - 60);
    if (twist == NOT_YET)
        ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)NOW + 60);
    if (twist == FOREIGN_KEY)
        X509_set_pubkey(certificate, other);
    CU_ASSERT(X509_sign(certificate, twist == SIGNED_BY_OTHER || twist == FOREIGN_KEY ? other : own,
                        twist == WEAK_HASH ? EVP_sha1() : EVP_sha256()) > 0);
    bytes = (size_t)i2d_X509(certificate, &der);
    X509_free(certificate);
    EVP_PKEY_free(own);
    EVP_PKEY_free(other);
    return bytes;
}

static void every_rule_for_certificates_is_kept(void)
{
    struct haul_key key = key_of(7);

    for (enum twist twist = AS_IT_IS; twist < TWISTS; twist++) {
        struct haul_peer_id peer;
        uint8_t der[2048];
        bool good = haul_tls_certificate_verify(der, twisted(twist, der), NOW, &peer);

        CU_ASSERT_EQUAL(good, twist == AS_IT_IS || twist == CRITICAL_KNOWN);
        if (good)
            CU_ASSERT_TRUE(haul_peer_id_equal(&peer, &key.id));
    }
}

static void a_certificate_is_good_from_an_hour_before_for_a_century(void)
{
    struct haul_peer_id peer;
    uint8_t der[2048];
    size_t bytes = twisted(AS_IT_IS, der);

    CU_ASSERT_TRUE(haul_tls_certificate_verify(der, bytes, NOW - 3000, &peer));
    CU_ASSERT_FALSE(haul_tls_certificate_verify(der, bytes, NOW - 4000, &peer));
    CU_ASSERT_TRUE(haul_tls_certificate_verify(der, bytes, NOW + 99 * YEAR, &peer));
    CU_ASSERT_FALSE(haul_tls_certificate_verify(der, bytes, NOW + 101 * YEAR, &peer));
}

/* A modulus outside of 2048 to 8192 bits is refused by its length, before anything is computed. */
static void rsa_certificates_of_odd_sizes_are_refused(void)
{
    struct haul_key key = key_of(7);
    struct haul_peer_id peer;
    EVP_PKEY *own, *small = EVP_RSA_gen(1024);
    X509 *certificate;
    uint8_t der[2048];
    uint8_t *at = der;
    int bytes;

    haul_tls_certificate_make(&key, NOW, &own, &certificate);
    CU_ASSERT_EQUAL(X509_set_pubkey(certificate, small), 1);
    CU_ASSERT(X509_sign(certificate, small, EVP_sha256()) > 0);
    bytes = i2d_X509(certificate, &at);
    CU_ASSERT_FALSE(haul_tls_certificate_verify(der, (size_t)bytes, NOW, &peer));
    X509_free(certificate);
    EVP_PKEY_free(own);
    EVP_PKEY_free(small);
}

/* --- the handshake --- */

struct side {
    struct haul_tls tls;
    struct haul_key key;
    struct haul_tls_identity identity;
    uint8_t wire[64 << 10]; /* written and not yet read */
    size_t wire_bytes;
};

static struct side client, server;
static const char *const muxers[] = { "/yamux/1.0.0", "/other/1.0.0" };

static void side_open(struct side *side, bool dialer, size_t muxer_count,
                      const struct haul_peer_id *expected)
{
    struct haul_tls_conf conf = { .client = dialer,
                                  .identity = &side->identity,
                                  .expected = expected,
                                  .muxers = muxers,
                                  .muxer_count = muxer_count,
                                  .unix_seconds = NOW };

    haul_tls_fini(&side->tls);
    if (side->identity.context == NULL) {
        side->key = key_of(dialer ? 1 : 2);
        CU_ASSERT_TRUE_FATAL(haul_tls_identity_open(&side->identity, &side->key, NOW));
    }
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

static void shake(void)
{
    for (int i = 0; i < 6; i++) {
        step(&client, &server);
        step(&server, &client);
    }
}

static void start(void)
{
    side_open(&server, false, 1, NULL);
    side_open(&client, true, 1, &server.key.id);
    shake();
    CU_ASSERT_EQUAL_FATAL(client.tls.state, HAUL_TLS_DONE);
    CU_ASSERT_EQUAL_FATAL(server.tls.state, HAUL_TLS_DONE);
}

static void both_are_proven_and_agree_on_the_muxer(void)
{
    for (size_t ours = 0; ours <= 2; ours++) {
        for (size_t theirs = 0; theirs <= 2; theirs++) {
            size_t agreed = ours > 0 && theirs > 0 ? 0 : HAUL_TLS_NO_MUXER;

            side_open(&server, false, theirs, NULL);
            side_open(&client, true, ours, NULL);
            shake();
            CU_ASSERT_EQUAL(client.tls.state, HAUL_TLS_DONE);
            CU_ASSERT_EQUAL(server.tls.state, HAUL_TLS_DONE);
            CU_ASSERT_TRUE(haul_peer_id_equal(&client.tls.peer, &server.key.id));
            CU_ASSERT_TRUE(haul_peer_id_equal(&server.tls.peer, &client.key.id));
            CU_ASSERT_EQUAL(client.tls.muxer, agreed);
            CU_ASSERT_EQUAL(server.tls.muxer, agreed);
        }
    }
}

static void the_client_is_done_after_one_round_trip(void)
{
    side_open(&server, false, 1, NULL);
    side_open(&client, true, 1, NULL);
    step(&client, &server);
    step(&server, &client);
    step(&client, &server);
    CU_ASSERT_EQUAL(client.tls.state, HAUL_TLS_DONE);
    step(&server, &client);
    CU_ASSERT_EQUAL(server.tls.state, HAUL_TLS_DONE);
}

static void another_peer_than_expected_is_refused_with_an_alert(void)
{
    side_open(&server, false, 1, NULL);
    side_open(&client, true, 1, &client.key.id);
    shake();
    CU_ASSERT_EQUAL(client.tls.fault, HAUL_TLS_FAULT_OTHER_PEER);
    CU_ASSERT_EQUAL(server.tls.state, HAUL_TLS_FAILED);
    CU_ASSERT_EQUAL(server.tls.fault, HAUL_TLS_FAULT_MALFORMED); /* the alert */
}

/* A client of the library's own, to show what ours never does. */
static bool foreign_client(SSL_CTX *context, const char *alpn)
{
    SSL *ssl = SSL_new(context);
    BIO *to = BIO_new(BIO_s_mem()), *from = BIO_new(BIO_s_mem());
    bool taken;

    side_open(&server, false, 1, NULL);
    SSL_set_bio(ssl, from, to);
    SSL_set_connect_state(ssl);
    if (alpn != NULL)
        SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
    for (int i = 0; i < 4; i++) {
        (void)SSL_do_handshake(ssl);
        client.wire_bytes = 0;
        if (BIO_ctrl_pending(to) > 0)
            client.wire_bytes = (size_t)BIO_read(to, client.wire, sizeof client.wire);
        step(&server, &client);
        if (server.wire_bytes > 0)
            BIO_write(from, server.wire, (int)server.wire_bytes);
        server.wire_bytes = 0;
    }
    taken = server.tls.state == HAUL_TLS_DONE;
    CU_ASSERT_EQUAL(taken, server.tls.state != HAUL_TLS_FAILED);
    SSL_free(ssl);
    return taken;
}

static SSL_CTX *foreign_context(bool with_certificate, bool chain)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    struct haul_key key = key_of(9);
    EVP_PKEY *own;
    X509 *certificate;

    haul_tls_certificate_make(&key, NOW, &own, &certificate);
    if (with_certificate) {
        SSL_CTX_use_certificate(context, certificate);
        SSL_CTX_use_PrivateKey(context, own);
    }
    if (chain)
        SSL_CTX_add_extra_chain_cert(context, X509_dup(certificate));
    X509_free(certificate);
    EVP_PKEY_free(own);
    return context;
}

static void odd_clients_are_refused(void)
{
    SSL_CTX *good = foreign_context(true, false);
    SSL_CTX *anonymous = foreign_context(false, false);
    SSL_CTX *two = foreign_context(true, true);

    CU_ASSERT_TRUE(foreign_client(good, "\x06libp2p"));
    CU_ASSERT_TRUE(foreign_client(good, NULL)); /* no list at all means "later" */
    CU_ASSERT_FALSE(foreign_client(good, "\x02h2"));
    CU_ASSERT_EQUAL(server.tls.fault, HAUL_TLS_FAULT_MUXER);
    CU_ASSERT_FALSE(foreign_client(anonymous, "\x06libp2p"));
    CU_ASSERT_FALSE(foreign_client(two, "\x06libp2p"));
    CU_ASSERT_EQUAL(server.tls.fault, HAUL_TLS_FAULT_IDENTITY);
    SSL_CTX_set_max_proto_version(good, TLS1_2_VERSION);
    CU_ASSERT_FALSE(foreign_client(good, "\x06libp2p"));
    SSL_CTX_free(good);
    SSL_CTX_free(anonymous);
    SSL_CTX_free(two);
}

static void a_handshake_without_end_is_cut(void)
{
    uint8_t record[5 + 16384] = { 22, 3, 3, 0x40, 0 };
    uint8_t answer[HAUL_TLS_OUT_BYTES];

    for (int kind = 0; kind < 2; kind++) {
        struct haul_out out = haul_out_to(answer, sizeof answer);
        int rounds = 0;

        side_open(&server, false, 1, NULL);
        record[5] = kind == 0 ? 1 : 0xff; /* a client hello of 16 MB */
        record[6] = 0xff;
        for (; rounds < 10 && server.tls.state == HAUL_TLS_RUNNING; rounds++) {
            struct haul_in in = haul_in_from(record, sizeof record);

            haul_tls_step(&server.tls, &in, &out);
            out = haul_out_to(answer, sizeof answer);
        }
        CU_ASSERT_EQUAL(server.tls.state, HAUL_TLS_FAILED);
        CU_ASSERT(rounds <= 3);
    }
}

/* --- records --- */

static void data_of_every_length_is_carried_both_ways(void)
{
    static const size_t lengths[] = { 1, 2, 100, 16383, 16384, 16385, 40000, 65519 };
    static uint8_t sent[65519], wire[65519 + HAUL_TLS_OVERHEAD_OF(65519)];

    start();
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 13);
    for (size_t i = 0; i < 2 * HAUL_COUNT_OF(lengths); i++) {
        struct haul_tls *from = i & 1 ? &server.tls : &client.tls;
        struct haul_tls *to = i & 1 ? &client.tls : &server.tls;
        size_t length = lengths[i / 2], head = length / 3, got = 0, at = 0;
        size_t bytes = haul_tls_seal(&from->record, sent, head, sent + head, length - head, wire);

        CU_ASSERT(bytes <= length + HAUL_TLS_OVERHEAD_OF(length));
        while (at < bytes) {
            size_t record, count;
            uint8_t *data;

            CU_ASSERT_TRUE_FATAL(haul_tls_length(wire + at, &record));
            CU_ASSERT_TRUE_FATAL(haul_tls_open(&to->record, wire + at, record + 5, &data, &count));
            CU_ASSERT_EQUAL(memcmp(data, sent + got, count), 0);
            got += count;
            at += record + 5;
        }
        CU_ASSERT_EQUAL(got, length);
    }
}

static bool carry(struct haul_tls *from, struct haul_tls *to, const char *text)
{
    uint8_t wire[512];
    size_t bytes = haul_tls_seal(&from->record, (const uint8_t *)text, strlen(text), NULL, 0, wire);
    size_t at = 0, record, count = 0;
    uint8_t *data = NULL;

    for (; at < bytes; at += record + 5) {
        if (!haul_tls_length(wire + at, &record) ||
            !haul_tls_open(&to->record, wire + at, record + 5, &data, &count))
            return false;
    }
    return count == strlen(text) && memcmp(data, text, count) == 0;
}

static void keys_are_changed_when_asked_for_and_when_due(void)
{
    start();
    CU_ASSERT_TRUE(carry(&client.tls, &server.tls, "before"));
    client.tls.record.update_wanted = true;
    CU_ASSERT_TRUE(carry(&client.tls, &server.tls, "behind one"));
    CU_ASSERT_TRUE(carry(&server.tls, &client.tls, "the other way"));
    client.tls.record.seal.number = server.tls.record.open.number = HAUL_TLS_RECORDS_PER_KEY;
    CU_ASSERT_TRUE(carry(&client.tls, &server.tls, "behind another"));
    CU_ASSERT(client.tls.record.seal.number < 4);
}

static void a_changed_or_repeated_record_ends_it_for_good(void)
{
    uint8_t wire[128], copy[128], second[128];
    size_t bytes, next, count;
    uint8_t *data;

    for (size_t i = 0;; i++) {
        start();
        bytes = haul_tls_seal(&client.tls.record, (const uint8_t *)"hello", 5, NULL, 0, wire);
        next = haul_tls_seal(&client.tls.record, (const uint8_t *)"again", 5, NULL, 0, second);
        if (i == bytes)
            break;
        memcpy(copy, wire, bytes);
        copy[i] ^= 0x10;
        CU_ASSERT_FALSE(haul_tls_open(&server.tls.record, copy, bytes, &data, &count));
        CU_ASSERT_FALSE(haul_tls_open(&server.tls.record, wire, bytes, &data, &count));
    }
    memcpy(copy, wire, bytes);
    CU_ASSERT_TRUE(haul_tls_open(&server.tls.record, wire, bytes, &data, &count));
    CU_ASSERT_FALSE(haul_tls_open(&server.tls.record, copy, bytes, &data, &count));
    CU_ASSERT_FALSE(haul_tls_open(&server.tls.record, second, next, &data, &count));
}

/* Seals content of any type: the record's own sealing with the type byte swapped is not possible
 * from outside, so the test makes records by hand. */
static size_t seal_as(struct haul_tls_record *record, uint8_t type, const uint8_t *body,
                      size_t bytes, uint8_t *wire)
{
    struct haul_tls_direction *seal = &record->seal;
    uint8_t nonce[12], inner[256];
    int written;

    memcpy(inner, body, bytes);
    inner[bytes] = type;
    wire[0] = 23;
    wire[1] = wire[2] = 3;
    wire[3] = 0;
    wire[4] = (uint8_t)(bytes + 17);
    memcpy(nonce, seal->iv, sizeof nonce);
    nonce[11] ^= (uint8_t)seal->number++;
    CU_ASSERT_EQUAL(EVP_CipherInit_ex(seal->context, NULL, NULL, NULL, nonce, 1), 1);
    CU_ASSERT_EQUAL(EVP_CipherUpdate(seal->context, NULL, &written, wire, 5), 1);
    CU_ASSERT_EQUAL(EVP_CipherUpdate(seal->context, wire + 5, &written, inner, (int)bytes + 1), 1);
    CU_ASSERT_EQUAL(EVP_CipherFinal_ex(seal->context, wire + 5 + bytes + 1, &written), 1);
    CU_ASSERT_EQUAL(
        EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_GET_TAG, 16, wire + 5 + bytes + 1), 1);
    return 5 + bytes + 17;
}

static bool open_as(struct haul_tls *from, struct haul_tls *to, uint8_t type, const char *hex)
{
    uint8_t body[200], wire[300];
    size_t bytes = unit_hex(hex, body, sizeof body), count = 1;
    uint8_t *data;

    bytes = seal_as(&from->record, type, body, bytes, wire);
    return haul_tls_open(&to->record, wire, bytes, &data, &count) && count == 0;
}

static void tickets_alerts_and_updates_are_read_over_or_end_it(void)
{
    start(); /* tickets: from the server alone, however they are cut */
    CU_ASSERT_TRUE(open_as(&server.tls, &client.tls, 22, "040000050102030405040000010104"));
    CU_ASSERT_TRUE(open_as(&server.tls, &client.tls, 22, "00000301"));
    CU_ASSERT_TRUE(open_as(&server.tls, &client.tls, 22, "0203"));
    CU_ASSERT_TRUE(carry(&server.tls, &client.tls, "data"));
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 22, "0400000101"));
    start(); /* a key update that asks for one of ours */
    CU_ASSERT_FALSE(server.tls.record.update_wanted);
    CU_ASSERT_TRUE(open_as(&client.tls, &server.tls, 22, "1800000101"));
    CU_ASSERT_TRUE(server.tls.record.update_wanted);
    start(); /* one that does not end its record, one of no meaning, another message */
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 22, "180000010018"));
    start();
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 22, "1800000102"));
    start();
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 22, "0100000100"));
    start(); /* the peer's end; nothing may follow it */
    CU_ASSERT_TRUE(open_as(&client.tls, &server.tls, 21, "0100"));
    CU_ASSERT_TRUE(server.tls.record.closed);
    CU_ASSERT_FALSE(carry(&client.tls, &server.tls, "late"));
    start(); /* other alerts */
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 21, "022a"));
    start(); /* a type that there is not, padding alone */
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 99, "00"));
    start();
    CU_ASSERT_FALSE(open_as(&client.tls, &server.tls, 0, "000000"));
}

static void records_without_data_are_borne_only_for_a_while(void)
{
    uint32_t borne = 0;

    start();
    while (borne < 1000 && open_as(&client.tls, &server.tls, 23, ""))
        borne++;
    CU_ASSERT_EQUAL(borne, HAUL_TLS_QUIET_MAX);
}

static void every_suite_is_spoken(void)
{
    static const enum haul_tls_suite suites[] = { HAUL_TLS_AES_128_GCM_SHA256,
                                                  HAUL_TLS_AES_256_GCM_SHA384,
                                                  HAUL_TLS_CHACHA20_POLY1305_SHA256 };
    static const char *const names[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256" };

    for (size_t i = 0; i < HAUL_COUNT_OF(suites); i++) {
        side_open(&server, false, 1, NULL);
        side_open(&client, true, 1, NULL);
        CU_ASSERT_EQUAL(SSL_set_ciphersuites(client.tls.ssl, names[i]), 1);
        shake();
        CU_ASSERT_EQUAL(client.tls.record.suite, suites[i]);
        CU_ASSERT_EQUAL(server.tls.record.suite, suites[i]);
        server.tls.record.update_wanted = client.tls.record.update_wanted = true;
        CU_ASSERT_TRUE(carry(&client.tls, &server.tls, "there"));
        CU_ASSERT_TRUE(carry(&server.tls, &client.tls, "and back"));
    }
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(the_certificates_of_the_specification_are_judged_as_it_says),
        T(a_cut_longer_or_changed_certificate_is_refused),
        T(every_rule_for_certificates_is_kept),
        T(a_certificate_is_good_from_an_hour_before_for_a_century),
        T(rsa_certificates_of_odd_sizes_are_refused),
        T(both_are_proven_and_agree_on_the_muxer),
        T(the_client_is_done_after_one_round_trip),
        T(another_peer_than_expected_is_refused_with_an_alert),
        T(odd_clients_are_refused),
        T(a_handshake_without_end_is_cut),
        T(data_of_every_length_is_carried_both_ways),
        T(keys_are_changed_when_asked_for_and_when_due),
        T(a_changed_or_repeated_record_ends_it_for_good),
        T(tickets_alerts_and_updates_are_read_over_or_end_it),
        T(records_without_data_are_borne_only_for_a_while),
        T(every_suite_is_spoken),
    };
#undef T

    return unit_main("tls", tests, HAUL_COUNT_OF(tests));
}
