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

	// ReasonInvalidValue: one of the keys that people write has a value that
	// nobody understands. On the object that carries it, by the versioner.
	ReasonInvalidValue = "InvalidValue"

	// ReasonRolledForward: the workload was moved to the content that its
	// sources hold now. On the workload, by the versioner.
	ReasonRolledForward = "RolledForward"

	// ReasonTouchUnanswered: the workload is behind and sending it through
	// admission changed nothing: the webhook is away or something reverts it.
	// On the workload, by the versioner.
	ReasonTouchUnanswered = "TouchUnanswered"

	// ReasonDamped: the sources of the workload change more often than it may
	// be rolled out. On the workload, by the versioner.
	ReasonDamped = "RolloutsDamped"
)
