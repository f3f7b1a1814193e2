//go:build faults

package main

import (
	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/test/lab/faults"
)

func init() { serve.Between = faults.Between }
