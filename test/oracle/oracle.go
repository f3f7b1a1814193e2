// Package oracle judges what configpin did to a cluster, from outside: it watches
// every write, reads the API server's audit log, and looks at what our webhook is
// sent and what becomes of it. Of our code it knows the names of labels and
// annotations, and nothing else: whatever two programs compute, it computes
// again, from the documents.
//
// It is separate from the tests that use it so that each of them gets all
// invariants for nothing. What happened is reduced to facts, and Check, which is
// pure, replays them.
//
// It deliberately says nothing of what should have happened when: that a
// workload is held or rolled out is what a test is about. It doesn't judge how
// many rollouts a change may be, beyond one per template. And it never writes an
// object of the cluster that it judges, but for the configurations of two
// webhooks of its own.
package oracle
