package wellknown

// Reasons of Events. Each is emitted only when something happened.
const (
	// ReasonSnapshotted: the source has a new current snapshot. On the source,
	// by the versioner.
	ReasonSnapshotted = "Snapshotted"

	// ReasonSnapshotFailed: the source's content could not be kept, so nothing
	// will be pinned to it. On the source, by the versioner.
	ReasonSnapshotFailed = "SnapshotFailed"

	// ReasonNameTaken: a snapshot's name was in use by something else, so a
	// longer one was taken. On the source, by the versioner.
	ReasonNameTaken = "SnapshotNameTaken"

	// ReasonSnapshotsDamped: the source changes more often than its contents are
	// kept. On the source, by the versioner.
	ReasonSnapshotsDamped = "SnapshotsDamped"

	// ReasonCollected: snapshots of the source were deleted, since nothing named
	// them. On the source, by the garbage collector.
	ReasonCollected = "SnapshotsCollected"

	// ReasonInvalidValue: one of the keys that people write has a value that
	// nobody understands. On the object that carries it, by the versioner.
	ReasonInvalidValue = "InvalidValue"

	// ReasonNotVersioned: the source isn't versioned any more, and workloads are
	// pinned to what it held. On the source, by the versioner.
	ReasonNotVersioned = "NotVersioned"

	// ReasonPinned: a ref of the workload names a snapshot of its source now, and
	// named none before. On the workload, by the versioner.
	ReasonPinned = "Pinned"

	// ReasonRolledForward: the workload names what its source holds now, and named
	// what it held before. On the workload, by the versioner.
	ReasonRolledForward = "RolledForward"

	// ReasonWorkloadsPinned and ReasonWorkloadsMoved: one change did that to so many
	// workloads that they aren't told of one by one. On the source, by the versioner.
	ReasonWorkloadsPinned = "WorkloadsPinned"
	ReasonWorkloadsMoved  = "WorkloadsMoved"

	// ReasonRollbackHeld: the workload was taken back to a snapshot, and stays
	// there. On the workload, by the versioner.
	ReasonRollbackHeld = "RollbackHeld"

	// ReasonHoldReleased: a hold is over. On the workload, by the versioner.
	ReasonHoldReleased = "HoldReleased"

	// ReasonUnpinned: the workload names the source itself again. On the workload,
	// by the versioner.
	ReasonUnpinned = "Unpinned"

	// ReasonSnapshotMissing: the workload names a snapshot that is not there, and
	// that nobody can make again. On the workload, by the versioner.
	ReasonSnapshotMissing = "SnapshotMissing"

	// ReasonPinConflict: admission pins the workload and something takes that back,
	// or the workload can't be sent through admission at all. On the workload, by
	// the versioner.
	ReasonPinConflict = "PinConflict"

	// ReasonTouchUnanswered: the workload is behind and sending it through
	// admission changed nothing: the webhook is away. On the workload, by the
	// versioner.
	ReasonTouchUnanswered = "TouchUnanswered"

	// ReasonDamped: the sources of the workload change more often than it may
	// be rolled out. On the workload, by the versioner.
	ReasonDamped = "RolloutsDamped"
)
