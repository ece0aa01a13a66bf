// What docker, BuildKit, containerd and ko pack a layer with: gopack LEVEL <FILE.tar >FILE.tar.gz
package main

import (
	"compress/gzip"
	"io"
	"os"
	"strconv"
)

func main() {
	level, err := strconv.Atoi(os.Args[1])
	var to *gzip.Writer
	if err == nil {
		to, err = gzip.NewWriterLevel(os.Stdout, level)
	}
	if err == nil {
		_, err = io.Copy(to, os.Stdin)
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
