package main

// The protocol /perf/1.0.0: 8 bytes big-endian (how much the server is to send), what the client
// sends, its close; then what the server sends, and its close.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const perfProtocol = "/perf/1.0.0"

// 64 KiB a write, as the perf programs of the field do.
var zeros = make([]byte, 1<<16)

func send(s network.Stream, count uint64) error {
	for count > 0 {
		sent, err := s.Write(zeros[:min(count, uint64(len(zeros)))])
		if err != nil {
			return err
		}
		count -= uint64(sent)
	}
	return s.CloseWrite()
}

func drain(s network.Stream) (uint64, error) {
	scrap := make([]byte, 1<<16)
	total := uint64(0)
	for {
		count, err := s.Read(scrap)
		total += uint64(count)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func servePerf(s network.Stream) {
	header := make([]byte, 8)
	if _, err := io.ReadFull(s, header); err != nil {
		s.Reset()
		return
	}
	if _, err := drain(s); err != nil {
		s.Reset()
		return
	}
	if send(s, binary.BigEndian.Uint64(header)) != nil {
		s.Reset()
	}
}

func (n *node) perfStream(ctx context.Context, id peer.ID, up, down uint64) error {
	s, err := n.host.NewStream(ctx, id, perfProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	if deadline, limited := ctx.Deadline(); limited {
		s.SetDeadline(deadline)
	}
	header := binary.BigEndian.AppendUint64(nil, down)
	if _, err := s.Write(header); err != nil {
		return err
	}
	if err := send(s, up); err != nil {
		return err
	}
	got, err := drain(s)
	if err == nil && got != down {
		err = fmt.Errorf("%d bytes came back, not %d", got, down)
	}
	return err
}

// perf moves `up` and `down` bytes on each of so many streams at once.
func (n *node) perf(ctx context.Context, id peer.ID, up, down uint64, streams int) (result, error) {
	began := time.Now()
	ends := make(chan error, streams)
	for range streams {
		go func() { ends <- n.perfStream(ctx, id, up, down) }()
	}
	all := []error{}
	for range streams {
		all = append(all, <-ends)
	}
	return result{"seconds": time.Since(began).Seconds(), "bytes": (up + down) * uint64(streams)}, errors.Join(all...)
}

// first is the time from nothing to the first byte of an answer, on a connection of its own.
func (n *node) first(ctx context.Context, text string) (result, error) {
	info, err := peer.AddrInfoFromString(text)
	if err != nil {
		return nil, err
	}
	n.host.Peerstore().ClearAddrs(info.ID) // what the peer told earlier would lead around a link
	began := time.Now()
	if err = n.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	if err = n.perfStream(ctx, info.ID, 1, 1); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	return result{"seconds": seconds}, n.host.Network().ClosePeer(info.ID)
}
