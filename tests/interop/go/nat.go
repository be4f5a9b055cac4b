package main

// AutoNAT: dialling for others, and asking others whether an address of ours can be reached.

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autonat"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// natOptions makes a host that dials for those that ask in version 1.
func natOptions(version string) []libp2p.Option {
	if version != "1" {
		return nil
	}
	return []libp2p.Option{libp2p.EnableNATService(), libp2p.ForceReachabilityPublic()}
}

// startNat speaks version 2, both sides, with a host of its own that dials.
func (n *node) startNat() error {
	dialer, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport),
		libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return err
	}
	if n.nat, err = autonatv2.New(dialer); err != nil {
		return err
	}
	return n.nat.Start(n.host)
}

// reach asks a connected peer (of version 2: any that serves) to dial one address of ours.
func (n *node) reach(ctx context.Context, id peer.ID, version, text string) (result, error) {
	address, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return nil, err
	}
	if version == "1" {
		client := autonat.NewAutoNATClient(n.host, func() []multiaddr.Multiaddr {
			return []multiaddr.Multiaddr{address}
		}, nil)
		if err = client.DialBack(ctx, id); autonat.IsDialError(err) {
			return result{"reachability": "private"}, nil
		} else if err != nil {
			return nil, err
		}
		return result{"reachability": "public"}, nil
	}
	if n.nat == nil {
		return nil, errors.New("started without --autonat 2")
	}
	request := []autonatv2.Request{{Addr: address, SendDialData: true}}
	for {
		answer, err := n.nat.GetReachability(ctx, request)
		if err == nil {
			line := result{"reachability": "unknown"}
			switch answer.Reachability {
			case network.ReachabilityPublic:
				line["reachability"] = "public"
			case network.ReachabilityPrivate:
				line["reachability"] = "private"
			}
			return line, nil
		}
		if !errors.Is(err, autonatv2.ErrNoPeers) { // they are known once they have identified themselves
			return nil, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}
