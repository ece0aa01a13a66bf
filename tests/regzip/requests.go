// The loop around what the other files here pack with, for the tests beside.
//
// It reads requests from standard input, and answers each on standard output. All numbers are little endian. A request is
// the level (int32), what is wanted (uint32, which each file explains), the number of writes (uint32), their lengths (uint32 each),
// and the bytes. An answer is a length (uint32) and as many bytes. At the end of its input the program ends.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"os"
)

type request struct {
	Level  int32
	Kind   uint32
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
	to, err := packer(&packed, int(asked.Level), asked.Kind)
	must(err)
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
