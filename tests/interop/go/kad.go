package main

// The DHT: announcing content and finding who has it. A key is a multihash, in hex.

import (
	"context"
	"encoding/hex"

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
