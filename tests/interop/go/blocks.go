package main

// The protocol /haul/blocks/1 from docs/WIRE.md ("Blocks over a stream"): asking for a block, and
// answering for a dataset that is one raw block.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	blocksProtocol = "/haul/blocks/1"
	requestBytes   = 80
	answerBytes    = 16
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func multihashOf(b []byte) []byte {
	digest := sha256.Sum256(b)
	return append([]byte{0x12, 0x20}, digest[:]...)
}

func rawCid(b []byte) []byte { return append([]byte{0x01, 0x55}, multihashOf(b)...) }

// fetchBlock asks for all ranges of a block at once, and checks it.
func fetchBlock(s network.Stream, root []byte, total, part uint64) ([]byte, error) {
	requests := []byte{}
	for offset := uint64(0); offset == 0 || offset < total; offset += part {
		request := make([]byte, requestBytes)
		copy(request, root)
		copy(request[36:], root[2:])
		binary.LittleEndian.PutUint32(request[72:], uint32(offset))
		binary.LittleEndian.PutUint32(request[76:], uint32(part))
		requests = append(requests, request...)
	}
	if _, err := s.Write(requests); err != nil {
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		return nil, err
	}
	block := []byte{}
	for range len(requests) / requestBytes {
		answer := make([]byte, answerBytes)
		if _, err := io.ReadFull(s, answer); err != nil {
			return nil, err
		}
		if answer[0] != 0 {
			return nil, fmt.Errorf("status %d", answer[0])
		}
		whole := uint64(binary.LittleEndian.Uint32(answer[4:]))
		offset := uint64(binary.LittleEndian.Uint32(answer[8:]))
		count := uint64(binary.LittleEndian.Uint32(answer[12:]))
		if offset != uint64(len(block)) || offset > whole || count != min(part, whole-offset) {
			return nil, errors.New("the answer contradicts the request")
		}
		range_ := make([]byte, count)
		if _, err := io.ReadFull(s, range_); err != nil {
			return nil, err
		}
		block = append(block, range_...)
	}
	if extra, err := s.Read(make([]byte, 1)); extra != 0 || err != io.EOF {
		return nil, errors.New("more than was asked for")
	}
	if !bytes.Equal(multihashOf(block), root[2:]) {
		return nil, errors.New("the bytes do not match the hash")
	}
	return block, nil
}

// block fetches the raw dataset `root` (hex) and then one that nobody shares.
func (n *node) block(ctx context.Context, id peer.ID, text string, total, part uint64) (result, error) {
	root, err := hex.DecodeString(text)
	if err != nil || len(root) != 36 || part == 0 {
		return nil, errors.New("not the CID of a raw block")
	}
	s, err := n.host.NewStream(ctx, id, blocksProtocol)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	if deadline, limited := ctx.Deadline(); limited {
		s.SetDeadline(deadline)
	}
	block, err := fetchBlock(s, root, total, part)
	if err != nil {
		return nil, err
	}
	return result{"bytes": len(block)}, nil
}

// serveBlock answers for one raw block until the asker closes its half.
func serveBlock(s network.Stream, block []byte) {
	root := rawCid(block)
	request := make([]byte, requestBytes)
	for {
		if _, err := io.ReadFull(s, request); err == io.EOF {
			s.Close()
			return
		} else if err != nil {
			s.Reset()
			return
		}
		answer := make([]byte, answerBytes)
		answer[0] = 1
		if bytes.Equal(request[:36], root) && bytes.Equal(request[36:70], root[2:]) {
			from := min(uint64(binary.LittleEndian.Uint32(request[72:])), uint64(len(block)))
			count := uint64(binary.LittleEndian.Uint32(request[76:]))
			if rest := uint64(len(block)) - from; count == 0 || count > rest {
				count = rest
			}
			answer[0] = 0
			binary.LittleEndian.PutUint32(answer[4:], uint32(len(block)))
			binary.LittleEndian.PutUint32(answer[8:], uint32(from))
			binary.LittleEndian.PutUint32(answer[12:], uint32(count))
			answer = append(answer, block[from:from+count]...)
		}
		if _, err := s.Write(answer); err != nil {
			s.Reset()
			return
		}
	}
}
