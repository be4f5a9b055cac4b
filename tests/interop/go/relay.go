package main

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

func relayed(address multiaddr.Multiaddr) bool {
	_, err := address.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

// listening are the sockets' own addresses: the transport of relays listens as well.
func (n *node) listening() []multiaddr.Multiaddr {
	list := []multiaddr.Multiaddr{}
	for _, address := range n.host.Network().ListenAddresses() {
		if !relayed(address) {
			list = append(list, address)
		}
	}
	return list
}

// where are the addresses that a punch is aimed at: where peers see us, or on loopback where we listen.
func (n *node) where() []multiaddr.Multiaddr {
	list := n.listening()
	if manet.IsIPLoopback(list[0]) {
		return list
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	list = []multiaddr.Multiaddr{}
	for _, address := range n.seen {
		list = append(list, address)
	}
	return list
}

// through is a relay, punches holes, and keeps a place, as far as it is told to. Holes are punched by
// a service of our own: the host's believes an address once four peers have seen it, and loopback never.
func (n *node) through(serves, punches bool, place string) error {
	var puncher *holepunch.Service
	if serves {
		if _, err := relay.New(n.host); err != nil {
			return err
		}
	}
	if punches {
		told, ok := n.host.(interface{ IDService() identify.IDService })
		if !ok {
			return errors.New("no identify")
		}
		var err error
		if puncher, err = holepunch.NewService(n.host, told.IDService(), n.where); err != nil {
			return err
		}
	}
	if place == "" {
		return nil
	}
	info, err := peer.AddrInfoFromString(place)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.host.Connect(ctx, *info); err != nil {
		return err
	}
	if _, err = client.Reserve(ctx, n.host, *info); err != nil || puncher == nil {
		return err
	}
	// The service looks for a public address of ours again after 0.25 s, 0.5 s and so on up to 5 s, and
	// whoever comes through the relay before it has seen one is never punched to. This call waits for
	// that; there is a direct connection with the relay already, so it does nothing else.
	ready := make(chan error, 1)
	go func() { ready <- puncher.DirectConnect(info.ID) }()
	select {
	case err = <-ready:
		return err
	case <-ctx.Done():
		return errors.New("nobody told us a public address of ours")
	}
}

// direct waits for a connection that no relay carries.
func (n *node) direct(ctx context.Context, id peer.ID) error {
	for ctx.Err() == nil {
		for _, conn := range n.host.Network().ConnsToPeer(id) {
			if !relayed(conn.RemoteMultiaddr()) {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("there is no direct connection")
}
