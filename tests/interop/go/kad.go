package main

// The DHT: announcing content and finding who has it. A key is a multihash, in hex.

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// joinKad becomes a server of the DHT with this prefix; what loopback peers say is believed.
func (n *node) joinKad(prefix string) error {
	made, err := dht.New(n.host, dht.Mode(dht.ModeServer),
		dht.ProtocolPrefix(protocol.ID(prefix)), dht.RoutingTablePeerDiversityFilter(nil),
		dht.AddressFilter(nil))
	n.dht = made
	return err
}

func keyOf(text string) (cid.Cid, error) {
	hash, err := hex.DecodeString(text)
	if err != nil {
		return cid.Undef, err
	}
	return cid.NewCidV1(cid.Raw, hash), nil
}

func (n *node) provide(ctx context.Context, text string) error {
	key, err := keyOf(text)
	if err != nil {
		return err
	}
	return n.dht.Provide(ctx, key, true)
}

func (n *node) providers(ctx context.Context, text string) (result, error) {
	key, err := keyOf(text)
	if err != nil {
		return nil, err
	}
	found := []string{}
	for info := range n.dht.FindProvidersAsync(ctx, key, 20) {
		found = append(found, info.ID.String())
	}
	return result{"providers": found}, nil
}

func unhex(words []string) (string, []byte, error) {
	key, err := hex.DecodeString(words[0])
	if err != nil || len(words) == 1 {
		return string(key), nil, err
	}
	value, err := hex.DecodeString(words[1])
	return string(key), value, err
}

// put gives the value of a key to the nodes nearest to it; both are in hex.
func (n *node) put(ctx context.Context, words []string) (result, error) {
	key, value, err := unhex(words)
	if err != nil {
		return nil, err
	}
	return nil, n.dht.PutValue(ctx, key, value)
}

func (n *node) value(ctx context.Context, words []string) (result, error) {
	key, _, err := unhex(words)
	if err != nil {
		return nil, err
	}
	value, err := n.dht.GetValue(ctx, key)
	return result{"value": hex.EncodeToString(value)}, err
}

// publish puts an IPNS record of this node's own key.
func (n *node) publish(ctx context.Context, sequence uint64) (result, error) {
	own := n.host.Peerstore().PrivKey(n.host.ID())
	if own == nil {
		return nil, errors.New("the key is not there")
	}
	target, err := path.NewPath("/ipfs/bafkqaaa")
	if err != nil {
		return nil, err
	}
	record, err := ipns.NewRecord(own, target, sequence, time.Now().Add(time.Hour), time.Minute)
	if err != nil {
		return nil, err
	}
	value, err := ipns.MarshalRecord(record)
	if err != nil {
		return nil, err
	}
	key := "/ipns/" + string(n.host.ID())
	said := result{"key": hex.EncodeToString([]byte(key)), "value": hex.EncodeToString(value)}
	return said, n.dht.PutValue(ctx, key, value)
}
