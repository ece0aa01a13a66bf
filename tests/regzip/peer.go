// Packs with Go's own compress/flate and compress/gzip. What is wanted: 0 is bare deflate, 1 is gzip, 2 is gzip with all that a
// header may hold.
package main

import (
	"compress/flate"
	"compress/gzip"
	"io"
	"time"
)

func packer(to io.Writer, level int, kind uint32) (io.WriteCloser, error) {
	if kind == 0 {
		return flate.NewWriter(to, level)
	}
	writer, err := gzip.NewWriterLevel(to, level)
	if err == nil && kind == 2 {
		writer.Name, writer.Comment, writer.Extra = "läyer.tar", "a comment", []byte("extra")
		writer.ModTime = time.Unix(1234567890, 0)
		writer.OS = 3
	}
	return writer, err
}
