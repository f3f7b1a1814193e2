// Package wellknown holds every label, annotation and event reason that
// configpin reads or writes, once, with who writes it. They are API: people,
// GitOps tools and stored objects depend on them, so a name may be added but
// never changed. docs/reference.md lists them and is checked against this
// package.
//
// It deliberately holds no behaviour beyond spelling: what a key means is
// decided in the packages that act on it.
package wellknown

// Domain prefixes every key that is read from or written to an object.
const Domain = "configpin.io"

// Keys that people write on a source.
const (
	// Versioned, an annotation with the value "true", asks for a snapshot of
	// every content of the source.
	Versioned = Domain + "/versioned"

	// HistoryLimit, an annotation, is how many snapshots of the source are retained
	// although nothing names them: a number from 0 up.
	HistoryLimit = Domain + "/history-limit"
)

// Keys that people write on a workload, on its namespace, or on its template.
// Switches of a workload are labels because `kubectl rollout undo` replaces a
// Deployment's annotations by those of the old ReplicaSet, but never its labels
// (k8s.io/kubectl/pkg/polymorphichelpers/rollback.go, DeploymentRollbacker).
const (
	// Enabled, a label, opts a workload in ("true") or out ("false"). On a
	// namespace, "true" opts in every workload that is written in it; admission
	// then stamps the label on the workload.
	Enabled = Domain + "/enabled"

	// Rollout, a label of a workload. The value RolloutManual means that only
	// deploys change its pins; a change of a source never does.
	Rollout = Domain + "/rollout"

	// Resume, a label of a workload with the value "true", gives up every hold.
	// Admission consumes it, so that it is never stored.
	Resume = Domain + "/resume"

	// Exclude, an annotation of a template, lists sources whose refs are left
	// alone, as in "configmap/a,secret/b".
	Exclude = Domain + "/exclude"
)

// Accepted values of the keys above.
const (
	True          = "true"
	False         = "false"
	RolloutManual = "manual"
)

// Released is a value of Enabled that the versioner writes: admission opts out a workload
// that lost its label while admission was away, and consumes the label with it.
const Released = "released"

// Keys on a snapshot.
const (
	// SnapshotOf, a label written by whoever creates the snapshot, names its
	// source, or a hash of that name where it doesn't fit a label value.
	SnapshotOf = Domain + "/snapshot-of"

	// Source, an annotation written with SnapshotOf, is the full name of the
	// source.
	Source = Domain + "/source"

	// Digest, an annotation written with SnapshotOf, is the full digest of the
	// content.
	Digest = Domain + "/digest"

	// Revision, an annotation written by the versioner, is a number per source
	// that rises each time the snapshot becomes the current one.
	Revision = Domain + "/revision"

	// ChangeCause, an annotation written by the versioner, is what was said of the
	// content as the source's KubernetesChangeCause while the snapshot was current.
	ChangeCause = Domain + "/change-cause"

	// EarlierChangeCause, an annotation written by the versioner, is the source's
	// KubernetesChangeCause where that was there before the content, and so isn't about it.
	EarlierChangeCause = Domain + "/earlier-change-cause"

	// DigestKey, an annotation written with SnapshotOf on a Secret, tells by which key
	// its digest was made: the ID of the key, which says nothing of it.
	DigestKey = Domain + "/digest-key"

	// Size, an annotation written with SnapshotOf on a ConfigMap, is how many bytes the
	// keys and values of the content have. What a Secret holds is nobody's business.
	Size = Domain + "/size"

	// UnusedSince, an annotation in RFC 3339, is the mark of the garbage
	// collector. Whoever pins the snapshot takes it off.
	UnusedSince = Domain + "/unused-since"
)

// KubernetesChangeCause is the annotation in which people and kubectl say why
// an object changed (k8s.io/kubectl/pkg/polymorphichelpers/history.go).
const KubernetesChangeCause = "kubernetes.io/change-cause"

// Keys on a workload, written by admission only.
const (
	// Pins, an annotation of a template, maps each pinned source to its
	// snapshot, sorted: "configmap/app=app-3f0c…". It is empty once nothing is
	// pinned any more. It reverts with the template, as the names do.
	Pins = Domain + "/pins"

	// ObservedPrefix begins the labels that hold, per pinned source, the suffix
	// of the content that the workload was last offered. Labels are the one
	// place that no undo reverts.
	ObservedPrefix = "observed." + Domain + "/"

	// NotePrefix begins the names of annotations of a template that are never there.
	// In managedFields, whoever owns one would own a field that admission took away:
	// a list, as in "owned.configpin.io/containers.web.envFrom", or a hash of config.
	NotePrefix = "owned." + Domain + "/"
)

// The Secret that holds the key by which the digests of Secrets are made, in the
// namespace of configpin's programs: its name, its type, and the key of its data.
const (
	DigestKeySecret = "configpin-digest-key" //nolint:gosec // a name
	DigestKeyType   = Domain + "/digest-key"
	DigestKeyData   = "key"
)

// FieldManager is the name that configpin's own writes carry in managedFields.
const FieldManager = "configpin"

// UntouchedNamespaces are the namespaces whose workloads admission never sees:
// those without which a cluster can't come back up, and those without which we
// can't. manifests/base says the same to the API server.
var UntouchedNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "cert-manager", "configpin-system"}
