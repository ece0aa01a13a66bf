// Packs what it is given with Go's own compress/flate and compress/gzip, for the tests beside.
//
// It reads requests from standard input, and answers each on standard output. All numbers are little endian. A request is
// the level (int32), 0 for bare deflate, 1 for gzip, 2 for gzip with all that a header may hold (uint32), the number of writes (uint32), their lengths (uint32 each),
// and the bytes. An answer is a length (uint32) and as many bytes. At the end of its input the program ends.
package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"os"
	"time"
)

type request struct {
	Level  int32
	Gzip   uint32
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
	if asked.Gzip == 1 {
		writer, err := gzip.NewWriterLevel(&packed, int(asked.Level))
		must(err)
		to = writer
	} else if asked.Gzip == 2 {
		writer, err := gzip.NewWriterLevel(&packed, int(asked.Level))
		must(err)
		writer.Name, writer.Comment, writer.Extra = "läyer.tar", "a comment", []byte("extra")
		writer.ModTime = time.Unix(1234567890, 0)
		writer.OS = 3
		to = writer
	} else {
		writer, err := flate.NewWriter(&packed, int(asked.Level))
		must(err)
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
