package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const patience = 60 * time.Second

// obey runs one command and prints how it went.
func (n *node) obey(words []string) {
	if len(words) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ctx = network.WithAllowLimitedConn(ctx, "interop")
	line, err := n.command(ctx, words[0], words[1:])
	if line == nil {
		line = result{}
	}
	line["case"], line["ok"] = words[0], err == nil
	if err != nil {
		line["why"] = err.Error()
	}
	printLine(line)
}

// numbers reads the arguments from `first` on.
func numbers(words []string, first int) ([]uint64, error) {
	list := []uint64{}
	for _, word := range words[first:] {
		number, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, number)
	}
	return list, nil
}

func (n *node) ofKad(ctx context.Context, verb string, words []string) (result, error) {
	if n.dht == nil {
		return nil, errors.New("not in a DHT")
	}
	switch verb {
	case "provide":
		return nil, n.provide(ctx, words[0])
	case "providers":
		return n.providers(ctx, words[0])
	case "put":
		return n.put(ctx, words)
	case "value":
		return n.value(ctx, words)
	}
	given, err := numbers(words, 0)
	if err != nil {
		return nil, err
	}
	return n.publish(ctx, given[0])
}

func (n *node) command(ctx context.Context, verb string, words []string) (result, error) {
	counts := map[string]int{"dial": 1, "close": 1, "ping": 2, "identify": 1, "push": 1, "knows": 2,
		"block": 4, "perf": 4, "first": 1, "direct": 1, "reach": 3,
		"provide": 1, "providers": 1, "put": 2, "value": 1, "publish": 1}
	if count, known := counts[verb]; !known || len(words) != count {
		return nil, fmt.Errorf("no command %s with %d arguments", verb, len(words))
	}
	if verb == "dial" {
		return n.dial(ctx, words[0])
	}
	if verb == "first" {
		return n.first(ctx, words[0])
	}
	if verb == "provide" || verb == "providers" || verb == "put" || verb == "value" || verb == "publish" {
		return n.ofKad(ctx, verb, words)
	}
	id, err := peer.Decode(words[0])
	if err != nil {
		return nil, err
	}
	switch verb {
	case "close":
		return nil, n.host.Network().ClosePeer(id)
	case "identify":
		return n.identify(ctx, id)
	case "reach":
		return n.reach(ctx, id, words[1], words[2])
	case "knows":
		return nil, n.knows(ctx, id, words[1])
	case "direct":
		return nil, n.direct(ctx, id)
	case "push":
		n.host.SetStreamHandler(protocol.ID("/interop/pushed/1"), func(s network.Stream) { s.Reset() })
		return nil, nil
	}
	first := 1
	if verb == "block" {
		first = 2
	}
	given, err := numbers(words, first)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "ping":
		return n.ping(ctx, id, int(given[0]))
	case "block":
		return n.block(ctx, id, words[1], given[0], given[1])
	case "perf":
		return n.perf(ctx, id, given[0], given[1], int(given[2]))
	}
	return nil, errors.New("unreachable")
}
