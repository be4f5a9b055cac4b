/* haul id: this node's peer id, in both text forms. */
#include "controlplane/cmd/print.h"
#include "controlplane/home.h"

int haul_cmd_id(const struct haul_options *options)
{
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    char cid[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_error error;
    struct haul_home home;
    struct haul_key key;
    int failed;

    if (haul_home_open(&home, options->text[HAUL_OPTION_HOME], true, &error) < 0)
        return haul_print_error(options, &error);
    failed = haul_home_key(&home, true, &key, NULL, &error);
    haul_home_close(&home);
    if (failed < 0)
        return haul_print_error(options, &error);
    haul_peer_id_print(&key.id, peer);
    haul_peer_id_print_cid(&key.id, cid);
    haul_key_wipe(&key);
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "peer", json_string(peer));
        json_object_set_new(object, "cid", json_string(cid));
        haul_print_json(object);
    } else {
        printf("%s\n%s\n", peer, cid);
    }
    return HAUL_EXIT_DONE;
}
