package wellknown

// Reasons of Events. Each is emitted only when something happened. docs/reference.md is made
// of the comments: on what an Event is, of which type, when, and what it says.
const (
	// ReasonSnapshotted (ConfigMap; Normal): Not of a Secret. What it holds became current: for the
	// first time, or again. Says `Revision <number> is kept as <snapshot>`.
	ReasonSnapshotted = "Snapshotted"

	// ReasonSnapshotFailed (ConfigMap, Secret; Warning): The cluster doesn't take the snapshot: a
	// quota, a policy, another webhook that is down. Tried again, at most a minute later. Or a Secret
	// is of a [type that is never kept](secrets.md#what-is-different). Says `Nothing is pinned to what
	// it holds now: <problem>`.
	ReasonSnapshotFailed = "SnapshotFailed"

	// ReasonNameTaken (ConfigMap, Secret; Warning): Something else has the snapshot's name, so a
	// longer one serves. Says `Something else has the name of its snapshot, which is kept under a
	// longer one`.
	ReasonNameTaken = "SnapshotNameTaken"

	// ReasonSnapshotsDamped (ConfigMap, Secret; Warning): It used up `--snapshot-burst`. Once in a
	// row. Says `It changes faster than its contents are kept: at most one per <duration> from now
	// on`.
	ReasonSnapshotsDamped = "SnapshotsDamped"

	// ReasonCollected (ConfigMap; Normal): Not of a Secret. Snapshots of it were deleted because
	// nothing named them: once per pass. Says `Deleted snapshots that nothing names: <number>; left:
	// <number>`.
	ReasonCollected = "SnapshotsCollected"

	// ReasonInvalidValue (ConfigMap, Secret; Warning): `configpin.io/versioned` or
	// `configpin.io/history-limit` has a value that nobody understands. Says `Annotation <key> is
	// "<value>", not <values>: <consequence>`.
	ReasonInvalidValue = "InvalidValue"

	// ReasonNotVersioned (ConfigMap, Secret; Warning): It lost the annotation
	// `configpin.io/versioned`, perhaps because somebody replaced it whole, and workloads are pinned
	// to what it held. Once, until it is versioned again. Says `It is not versioned any more, so what
	// changes rolls out to nobody. Workloads that stay pinned to what it held: <number>. To go on,
	// annotate it configpin.io/versioned=true`.
	ReasonNotVersioned = "NotVersioned"

	// ReasonPinned (workload; Normal): It names a snapshot, and named none before; or it names another
	// one, and there is no source to follow. Says `<source> is pinned to <snapshot>`.
	ReasonPinned = "Pinned"

	// ReasonRolledForward (workload; Normal): It names what its source holds now: a touch, a deploy.
	// Says `<source> moved from <snapshot> to <snapshot>`.
	ReasonRolledForward = "RolledForward"

	// ReasonWorkloadsPinned (ConfigMap, Secret; Normal): More than 20 workloads that named no snapshot
	// of it name this one: it was annotated, or they opted in or were made, together. Of a Secret,
	// `what it holds` stands for the name. Says `<number> workloads were pinned to <snapshot>`.
	ReasonWorkloadsPinned = "WorkloadsPinned"

	// ReasonWorkloadsMoved (ConfigMap, Secret; Normal): More than 20 workloads named what it holds now
	// in place of what it held. Of a Secret, likewise. Says `<number> workloads moved to <snapshot>`.
	ReasonWorkloadsMoved = "WorkloadsMoved"

	// ReasonRollbackHeld (workload; Normal): Somebody took it back, and it stays: see
	// [rollback.md](rollback.md). Says `<source> is held at <snapshot>; to end it, label the <kind>
	// configpin.io/resume=true`.
	ReasonRollbackHeld = "RollbackHeld"

	// ReasonHoldReleased (workload; Normal): A hold is over: the source changed, something else was
	// deployed, or somebody said so. Says `<source> is held no more: pinned to <snapshot>`.
	ReasonHoldReleased = "HoldReleased"

	// ReasonUnpinned (workload; Normal): It names the source itself again. Not told when the label
	// `configpin.io/enabled` is taken away: then it isn't watched any more. Says `<source> is not
	// pinned any more`.
	ReasonUnpinned = "Unpinned"

	// ReasonSnapshotMissing (workload; Warning): Somebody deleted the snapshot that it names, and that
	// isn't what the source holds, so nobody can make it again. Told once. Says `A snapshot that it
	// names is gone, so new Pods can't start: <snapshots>; <what to do>`.
	ReasonSnapshotMissing = "SnapshotMissing"

	// ReasonPinConflict (workload; Warning): Three touches in a row were in vain: admission pinned it,
	// and something took that back; or the touch was refused, by a policy, or because the webhook is
	// away and requests fail with it. Tried again, at most 30 s later. Says `It is behind its sources,
	// and something is in the way of pinning it: <cause>`.
	ReasonPinConflict = "PinConflict"

	// ReasonTouchUnanswered (workload; Warning): Three touches in a row changed nothing, and it is
	// still behind. Tried again, at most 30 s later. Says `It is behind its sources, and sending it
	// through admission changes nothing: is the configpin webhook reachable, and does nothing undo its
	// answers?`.
	ReasonTouchUnanswered = "TouchUnanswered"

	// ReasonDamped (workload; Warning): It used up `--rollout-burst`. Once in a row. Says `Its sources
	// change faster than it may roll out: at most one rollout per <duration> from now on`.
	ReasonDamped = "RolloutsDamped"
)
