// A go-libp2p peer, as its documentation sets one up, that takes commands on its standard input and
// prints one JSON line a result: see ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

type result map[string]any

// node is the peer and what its commands share.
type node struct {
	host       host.Host
	seen       map[string]multiaddr.Multiaddr // our public addresses, as peers see them directly
	dht        *dht.IpfsDHT
	nat        *autonatv2.AutoNAT
	identified map[peer.ID]result
	changed    chan struct{} // closed and replaced whenever `identified` changes
	lock       sync.Mutex
}

var printing sync.Mutex

func printLine(line result) {
	printing.Lock()
	defer printing.Unlock()
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(text, '\n'))
}

func fatal(err error) {
	printLine(result{"case": "start", "ok": false, "why": err.Error()})
	os.Exit(1)
}

func options(security, listen string) []libp2p.Option {
	list := []libp2p.Option{
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ListenAddrStrings(listen),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		libp2p.EnableRelay(),
	}
	for _, name := range strings.Split(security, ",") {
		if name == "noise" {
			list = append(list, libp2p.Security(noise.ID, noise.New))
		} else {
			list = append(list, libp2p.Security(libp2ptls.ID, libp2ptls.New))
		}
	}
	return list
}

// watch keeps what every peer tells of itself.
func (n *node) watch() error {
	sub, err := n.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return err
	}
	go func() {
		for item := range sub.Out() {
			told := item.(event.EvtPeerIdentificationCompleted)
			line := result{"agent": told.AgentVersion, "protocols": told.Protocols, "listen": told.ListenAddrs}
			if told.ObservedAddr != nil {
				line["observed"] = told.ObservedAddr.String()
			}
			n.lock.Lock()
			if told.ObservedAddr != nil && !relayed(told.Conn.RemoteMultiaddr()) &&
				manet.IsPublicAddr(told.ObservedAddr) {
				n.seen[told.ObservedAddr.String()] = told.ObservedAddr
			}
			n.identified[told.Peer] = line
			close(n.changed)
			n.changed = make(chan struct{})
			n.lock.Unlock()
		}
	}()
	return nil
}

func (n *node) identify(ctx context.Context, id peer.ID) (result, error) {
	for {
		n.lock.Lock()
		line, changed := n.identified[id], n.changed
		n.lock.Unlock()
		if line != nil {
			return line, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errors.New("it did not identify itself")
		}
	}
}

// knows waits until the peer has said that it speaks the protocol.
func (n *node) knows(ctx context.Context, id peer.ID, name string) error {
	for ctx.Err() == nil {
		protocols, err := n.host.Peerstore().GetProtocols(id)
		if err != nil {
			return err
		}
		for _, protocol := range protocols {
			if string(protocol) == name {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("it never said so")
}

func (n *node) dial(ctx context.Context, text string) (result, error) {
	info, err := peer.AddrInfoFromString(text)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err = n.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	for _, conn := range n.host.Network().ConnsToPeer(info.ID) {
		state := conn.ConnState()
		return result{"peer": info.ID, "security": state.Security, "muxer": state.StreamMultiplexer,
			"early": state.UsedEarlyMuxerNegotiation, "seconds": seconds}, nil
	}
	return nil, errors.New("the connection is gone")
}

func (n *node) ping(ctx context.Context, id peer.ID, count int) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ping.Ping(ctx, n.host, id)
	trips := []int64{}
	for len(trips) < count {
		answer, open := <-answers
		if !open {
			return nil, errors.New("the pings ended")
		}
		if answer.Error != nil {
			return nil, answer.Error
		}
		trips = append(trips, answer.RTT.Microseconds())
	}
	return result{"round_trips_us": trips}, nil
}

func (n *node) serve(path string) error {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	root := rawCid(bytes)
	n.host.SetStreamHandler(blocksProtocol, func(s network.Stream) { serveBlock(s, bytes) })
	printLine(result{"event": "serving", "root": hexOf(root), "bytes": len(bytes)})
	return nil
}

func main() {
	security := flag.String("security", "noise,tls", "which, best first")
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "where")
	file := flag.String("file", "", "served as one raw block")
	kad := flag.String("kad", "", "serves the DHT of this prefix")
	relay := flag.String("relay", "", "on: is a relay")
	dcutr := flag.String("dcutr", "", "on: looks for direct ways")
	place := flag.String("place", "", "keeps a place at this relay")
	nat := flag.String("autonat", "", "version of AutoNAT that it serves, 1 or 2")
	flag.Parse()
	h, err := libp2p.New(append(options(*security, *listen), natOptions(*nat)...)...)
	if err != nil {
		fatal(err)
	}
	n := &node{host: h, seen: map[string]multiaddr.Multiaddr{}, identified: map[peer.ID]result{}, changed: make(chan struct{})}
	if err := n.watch(); err != nil {
		fatal(err)
	}
	h.SetStreamHandler(perfProtocol, servePerf)
	if *nat == "2" {
		if err := n.startNat(); err != nil {
			fatal(err)
		}
	}
	if *kad != "" {
		if err := n.joinKad(*kad); err != nil {
			fatal(err)
		}
	}
	if *file != "" {
		if err := n.serve(*file); err != nil {
			fatal(err)
		}
	}
	if err := n.through(*relay == "on", *dcutr == "on", *place); err != nil {
		fatal(err)
	}
	self, err := multiaddr.NewComponent("p2p", h.ID().String())
	if err != nil {
		fatal(err)
	}
	printLine(result{"event": "listening", "address": n.listening()[0].Encapsulate(self).String()})
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		n.obey(strings.Fields(input.Text()))
	}
	h.Close()
}
