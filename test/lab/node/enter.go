package node

import (
	"context"
	"io"
	"os"
)

// Entry says who enters the namespaces of a node.
type Entry struct {
	// Dir is kept as it is, inside and outside: everything of the cluster has to be in it. What is written to /run,
	// /var/lib and /var/log stays inside.
	Dir string
	// Env is added to the environment of this program when it runs inside.
	Env []string
	// Stdout and Stderr are those of the program inside.
	Stdout, Stderr io.Writer
	// Entered, if not nil, is called with a PID by which others find the namespaces.
	Entered func(pid int) error
}

// The stages of a program that enters: the environment says to it which one it is in.
const (
	stageVariable = "CONFIGPIN_NODE_STAGE"
	planVariable  = "CONFIGPIN_NODE_PLAN"

	stageJoin   = "join"   // it moves to its cgroups, and runs itself again
	stageInit   = "init"   // it is the first process: it mounts, starts the last stage, and reaps
	stageTry    = "try"    // as init, but it starts nothing
	stageInside = "inside" // it does what it is for
)

// Inside says whether this process is in the namespaces of a node.
func Inside() bool { return os.Getenv(stageVariable) == stageInside }

// Missing says in one line why there can't be a node on this machine. It is empty where there can be one.
func Missing(ctx context.Context) string {
	if err := try(ctx); err != nil {
		return err.Error()
	}
	return ""
}
