/* haul init: a home with a fresh identity. Running it again changes nothing. */
#include "controlplane/cmd/print.h"
#include "controlplane/home.h"

int haul_cmd_init(const struct haul_options *options)
{
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_error error;
    struct haul_home home;
    struct haul_key key;
    bool made;

    if (haul_home_open(&home, options->text[HAUL_OPTION_HOME], true, &error) < 0)
        return haul_print_error(options, &error);
    if (haul_home_key(&home, true, &key, &made, &error) < 0) {
        haul_home_close(&home);
        return haul_print_error(options, &error);
    }
    haul_peer_id_print(&key.id, peer);
    haul_key_wipe(&key);
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "home", json_string(home.path));
        json_object_set_new(object, "peer", json_string(peer));
        json_object_set_new(object, "made", json_boolean(made));
        haul_print_json(object);
    } else {
        printf("%s\n", peer);
        haul_print_note(options, made ? "a new identity in %s" : "%s has its identity already",
                        home.path);
    }
    haul_home_close(&home);
    return HAUL_EXIT_DONE;
}
