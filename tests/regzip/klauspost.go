// Packs what it is given with klauspost's compress/flate and pgzip, for the tests beside.
//
// It speaks as peer.go does. The second number of a request is 0 for bare deflate, else the size of pgzip's blocks.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"os"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
)

type request struct {
	Level  int32
	Block  uint32
	Writes uint32
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		var asked request
		if err := binary.Read(in, binary.LittleEndian, &asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		lengths := make([]uint32, asked.Writes)
		must(binary.Read(in, binary.LittleEndian, lengths))
		packed := answer(asked, lengths, in)
		must(binary.Write(out, binary.LittleEndian, uint32(len(packed))))
		_, err := out.Write(packed)
		must(err)
		must(out.Flush())
	}
}

func answer(asked request, lengths []uint32, in io.Reader) []byte {
	var packed bytes.Buffer
	var to io.WriteCloser
	if asked.Block == 0 {
		writer, err := flate.NewWriter(&packed, int(asked.Level))
		must(err)
		to = writer
	} else {
		writer, err := pgzip.NewWriterLevel(&packed, int(asked.Level))
		must(err)
		must(writer.SetConcurrency(int(asked.Block), 4))
		to = writer
	}
	for _, length := range lengths {
		piece := make([]byte, length)
		_, err := io.ReadFull(in, piece)
		must(err)
		_, err = to.Write(piece)
		must(err)
	}
	must(to.Close())
	return packed.Bytes()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
