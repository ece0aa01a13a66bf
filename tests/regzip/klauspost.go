// Packs with klauspost's compress/flate and pgzip. What is wanted: 0 is bare deflate, else it is the size of pgzip's blocks.
package main

import (
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
)

func packer(to io.Writer, level int, block uint32) (io.WriteCloser, error) {
	if block == 0 {
		return flate.NewWriter(to, level)
	}
	writer, err := pgzip.NewWriterLevel(to, level)
	if err == nil {
		err = writer.SetConcurrency(int(block), 4)
	}
	return writer, err
}
