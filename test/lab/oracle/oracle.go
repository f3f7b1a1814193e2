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

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Options say what to watch.
type Options struct {
	// Config is that of somebody who may read everything, and install webhooks.
	Config *rest.Config

	// Label is on the namespaces that count, whatever its value. A namespace gets
	// it when it is created. In others, nobody should write anything of ours.
	Label string

	// AuditLog is the file to which the API server writes each request, with what is
	// sent to delete something, and to patch workloads as our programs do. Without it, what
	// depends on who did something isn't checked.
	AuditLog string
}

// Oracle is a watch over a cluster.
type Oracle struct {
	Options
	seen       *seen
	audit      *auditLog // nil if there is none
	reviews    *reviews
	neighbours *neighbours
	metadata   metadata.Interface
	api        kubernetes.Interface
	stop       context.CancelFunc
}

// Verdict is what was found. What was skipped is told too: a check that wasn't
// made must not look like one that passed.
type Verdict struct {
	Violations []Violation
	Skipped    []Skip
}

// Skip is a rule that wasn't checked.
type Skip struct {
	Invariant, Rule string
	Reason          Reason
	What            string // in detail, if there is more to say
}

// Reason is why a rule can't be checked: one that nobody named beforehand is a fault of
// whoever judges.
type Reason string

// The reasons.
const (
	NoAuditLog Reason = "there is no audit log"
	Unreadable Reason = "lines of the audit log can't be read"
	Untold     Reason = "the audit log doesn't have what was sent"
	Gaps       Reason = "writes may have been missed"
	Alone      Reason = "of requests it isn't known what was before"
)

// String is one line for a person.
func (s Skip) String() string {
	text := fmt.Sprintf("%s (%s): %s", s.Invariant, s.Rule, s.Reason)
	if s.What != "" {
		text += ": " + s.What
	}
	return text
}

// Watch begins to watch, until Stop. What was written before is seen as it is now,
// so it belongs before anything that is judged.
func Watch(ctx context.Context, options Options) (*Oracle, error) {
	config := rest.CopyConfig(options.Config)
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	o := &Oracle{Options: options, seen: newSeen(options.Label), reviews: &reviews{}}
	if o.metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if o.api, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	var watching context.Context
	watching, o.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := o.begin(ctx, watching, objects); err != nil {
		return nil, errors.Join(err, o.Stop(ctx))
	}
	return o, nil
}

func (o *Oracle) begin(ctx, watching context.Context, objects dynamic.Interface) error {
	for _, k := range kinds {
		if err := o.seen.watchKind(watching, objects, k); err != nil {
			return err
		}
	}
	if o.AuditLog != "" {
		o.audit = newAuditLog(o.AuditLog)
		go o.audit.follow(watching)
	}
	var err error
	o.neighbours, err = settle(ctx, o.api, o.Label, o.reviews)
	return err
}

// Stop ends the watch, and removes what it installed.
func (o *Oracle) Stop(ctx context.Context) error {
	o.stop()
	if o.neighbours == nil {
		return nil
	}
	return o.neighbours.leave(ctx)
}

// Verify judges a namespace in which nothing more is to happen. It waits until it
// has seen everything, and, for as long as ctx allows, until everything has
// converged.
func (o *Oracle) Verify(ctx context.Context, namespace string, rules Rules) (Verdict, error) {
	for {
		h, err := o.history(ctx, namespace)
		if err != nil {
			return Verdict{}, err
		}
		if r := prepare(h); len(behind(r, rules))+len(lostContents(r, rules)) == 0 || !wait(ctx, again) {
			found, skipped := Check(h, rules)
			return Verdict{append(found, o.reviews.of(namespace)...), skipped}, nil
		}
	}
}

// Bounded judges whether a namespace holds more unused snapshots than it should,
// at a moment at which those had their time to be collected.
func (o *Oracle) Bounded(ctx context.Context, namespace string, limit int) ([]Violation, error) {
	h, err := o.history(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return Bounded(h, limit), nil
}

// history is what happened in a namespace, up to now.
func (o *Oracle) history(ctx context.Context, namespace string) (History, error) {
	if err := o.catchUp(ctx, namespace); err != nil {
		return History{}, err
	}
	h := o.seen.history(namespace)
	h.Holds = o.reviews.holdsIn(namespace)
	if o.audit == nil {
		return h, nil
	}
	if err := o.mark(ctx); err != nil {
		return History{}, err
	}
	h.Audited, h.Audit = true, o.audit.of(namespace)
	return h, nil
}

// catchUp waits until the watches have delivered what there is.
func (o *Oracle) catchUp(ctx context.Context, namespace string) error {
	for _, k := range kinds {
		for {
			listed, err := o.listed(ctx, k, namespace)
			if err == nil && o.seen.caughtUp(k.kind, namespace, listed) {
				break
			}
			if !wait(ctx, pause) {
				return fmt.Errorf("waiting until all %s of %s are seen: %w", k.resource.Resource, namespace, errors.Join(err, context.Cause(ctx)))
			}
		}
	}
	return nil
}

// listed are the revisions of what there is of a kind.
func (o *Oracle) listed(ctx context.Context, k kind, namespace string) (map[types.UID]uint64, error) {
	var where metadata.ResourceInterface = o.metadata.Resource(k.resource)
	options := metav1.ListOptions{}
	if k.kind == "Namespace" {
		options.FieldSelector = "metadata.name=" + namespace
	} else {
		where = o.metadata.Resource(k.resource).Namespace(namespace)
	}
	items, err := where.List(ctx, options)
	if err != nil {
		return nil, err
	}
	found := map[types.UID]uint64{}
	for i := range items.Items {
		found[items.Items[i].UID] = number(items.Items[i].ResourceVersion)
	}
	return found, nil
}

// mark waits until the audit log has what was answered before.
func (o *Oracle) mark(ctx context.Context) error {
	name := o.audit.nextMark()
	_, err := o.api.CoreV1().ConfigMaps(system).Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing a mark to the audit log: %w", err)
	}
	for {
		marked, err := o.audit.marked(name)
		if marked || err != nil {
			return err
		}
		if !wait(ctx, pause) {
			return fmt.Errorf("waiting for a mark in the audit log: %w", context.Cause(ctx))
		}
	}
}

// Quiet waits, and returns what our programs wrote meanwhile, but for the lease by
// which they take turns (I12). Everything must have converged before.
func (o *Oracle) Quiet(ctx context.Context, how time.Duration) (Verdict, error) {
	if o.audit == nil {
		return Verdict{Skipped: []Skip{{"I12", "nothing is written once all is done", NoAuditLog, ""}}}, nil
	}
	if err := o.mark(ctx); err != nil {
		return Verdict{}, err
	}
	before := o.audit.all()
	if !wait(ctx, how) {
		return Verdict{}, fmt.Errorf("waiting for %s: %w", how, context.Cause(ctx))
	}
	if err := o.mark(ctx); err != nil {
		return Verdict{}, err
	}
	return Verdict{Violations: loud(before, o.audit.all())}, nil
}

// Elsewhere judges, at the end, what no namespace that counts is part of.
func (o *Oracle) Elsewhere(ctx context.Context) (Verdict, error) {
	var v Verdict
	compared, alone := o.reviews.counts()
	if alone > 0 {
		v.Skipped = append(v.Skipped, Skip{"I11", "nothing but names and our keys is changed", Alone, fmt.Sprint(alone)})
	}
	if compared == 0 {
		v.Violations = append(v.Violations, Violation{"I11", "", "the oracle", "no request was compared with what became of it"})
	}
	if o.audit == nil {
		v.Skipped = append(v.Skipped, Skip{"I8", "our programs write what is theirs alone", NoAuditLog, ""})
		return v, nil
	}
	if err := o.mark(ctx); err != nil {
		return Verdict{}, err
	}
	if lines := o.audit.unreadableLines(); lines > 0 {
		v.Skipped = append(v.Skipped, Skip{"I8", "our programs write what is theirs alone", Unreadable, fmt.Sprint(lines)})
	}
	v.Violations = append(v.Violations, elsewhere(o.audit.all(), o.seen.watched)...)
	return v, nil
}
