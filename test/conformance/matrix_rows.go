package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// What most rows want: the hold stays, and the write changes nothing, or something
// else than the template, or the template.
var (
	nothing   = want{content: "blue", held: true}
	elsewhere = want{content: "blue", held: true, written: true}
	scaled    = want{content: "blue", held: true, generation: true, written: true}
	rolledOut = want{content: "blue", held: true, generation: true, written: true, revisions: 1}

	// deployed is that declared state won.
	deployed = want{content: "green", generation: true, written: true, revisions: 1}
)

var (
	onlyDeployments = []string{"Deployment"}
	scalable        = []string{"Deployment", "StatefulSet"}
	notDeployments  = []string{"StatefulSet", "DaemonSet"}
)

// rows leave configpin's programs alone.
var rows = []row{
	// Nothing new is declared.
	{name: "touched", tool: clientSide, do: kubectlDoes("patch", "--type=merge", "--patch={}"), want: nothing},
	{name: "applied again by kubectl", tool: clientSide, do: again(), want: nothing},
	{name: "applied again by kubectl, server-side", tool: serverSide, do: again(), want: nothing},
	{name: "applied again by kubectl, server-side, by force", tool: serverSide, do: again("--force-conflicts"), want: nothing},
	{name: "applied again by helm 3", tool: helm3, do: again(), want: nothing},
	{name: "applied again by helm 4", tool: helm4, do: again(), want: nothing},
	{name: "built again by kustomize", tool: kustomize, do: again(), want: nothing},
	{name: "synced again by Argo CD, server-side", tool: argoServerSide, do: again(), want: nothing},
	{name: "synced again by Argo CD, client-side", tool: argoClientSide, do: again(), want: nothing},
	{name: "reconciled again by Flux", tool: flux, do: again(), want: nothing},

	// Somebody else applies the same.
	{
		name: "applied by another manager, server-side", tool: serverSide, do: byAnotherManager,
		// Any field that admission changes is a difference between two managers.
		want: want{content: "blue", held: true, says: "conflict"},
	},
	{name: "applied by another manager, server-side, by force", tool: serverSide, do: again("--force-conflicts", "--field-manager=other"), want: elsewhere},
	{name: "moved from client-side to server-side apply", tool: clientSide, do: toServerSide, only: notDeployments, want: elsewhere},
	{name: "moved from client-side to server-side apply", tool: clientSide, do: toServerSide, only: onlyDeployments, want: scaled}, // annotations count

	// Something else changes.
	{name: "given another image by hand", tool: clientSide, do: kubectlDoes("set image", "app=example.com/app:2"), want: rolledOut},
	{name: "restarted", tool: clientSide, do: kubectlDoes("rollout restart"), want: rolledOut},
	{name: "scaled", tool: clientSide, do: kubectlDoes("scale", "--replicas=2"), only: scalable, want: scaled},
	{name: "annotated", tool: clientSide, do: kubectlDoes("annotate", "team=shop"), only: notDeployments, want: elsewhere},
	{name: "annotated", tool: clientSide, do: kubectlDoes("annotate", "team=shop"), only: onlyDeployments, want: scaled},
	{name: "labelled", tool: clientSide, do: kubectlDoes("label", "team=shop"), want: elsewhere},
	{name: "edited: another image", tool: clientSide, do: edits(func(*rolledBack) string { return "s|example.com/app:1|example.com/app:2|" }), want: rolledOut},
	{name: "edited: the name of the source", tool: clientSide, do: edits(func(w *rolledBack) string { return "s|name: " + w.blue + "|name: app|" }), want: nothing},
	{name: "another source changes", tool: clientSide, extra: true, do: otherSource, want: rolledOut},
	{name: "upgraded by helm 3 to more replicas", tool: helm3, do: moreReplicas, only: scalable, want: scaled},
	{name: "upgraded by helm 4 to more replicas", tool: helm4, do: moreReplicas, only: scalable, want: scaled},
	// A replace takes away the annotations of controllers, and they put them back.
	{name: "replaced by its manifest", tool: clientSide, do: replaces, only: []string{"StatefulSet"}, want: nothing},
	{name: "replaced by its manifest", tool: clientSide, do: replaces, only: []string{"DaemonSet"}, want: elsewhere},
	{name: "replaced by its manifest", tool: clientSide, do: replaces, only: onlyDeployments, want: scaled},

	// What is declared changes: that wins, as for images.
	{name: "deployed by kubectl with another image", tool: clientSide, do: newImage, want: deployed},
	{name: "deployed by kubectl, server-side, with another image", tool: serverSide, do: newImage, want: deployed},
	{name: "deployed by helm 3 with another image", tool: helm3, do: newImage, want: deployed},
	{name: "deployed by helm 4 with another image", tool: helm4, do: newImage, want: deployed},
	{name: "deployed by kustomize with another image", tool: kustomize, do: newImage, want: deployed},
	{name: "deployed by Argo CD, server-side, with another image", tool: argoServerSide, do: newImage, want: deployed},
	{name: "deployed by Argo CD, client-side, with another image", tool: argoClientSide, do: newImage, want: deployed},
	{name: "deployed by Flux with another image", tool: flux, do: newImage, want: deployed},

	// The source changes again.
	{name: "its source changes", tool: clientSide, do: becomes("red"), want: want{content: "red", generation: true, written: true, revisions: 1}},
	{name: "its source is changed by helm 4", tool: helm4, do: becomes("red"), want: want{content: "red", generation: true, written: true, revisions: 1}},
	{name: "its source is changed by Flux", tool: flux, do: becomes("red"), want: want{content: "red", generation: true, written: true, revisions: 1}},
	{name: "its source goes back", tool: clientSide, do: becomes("blue"), want: want{content: "blue", written: true}},
	{name: "rolled back by helm 3", tool: helm3, do: helmRollback(helm3Path), want: want{content: "blue", written: true}},
	{name: "rolled back by helm 4", tool: helm4, do: helmRollback(helm4Path), want: want{content: "blue", written: true}},

	// Somebody says so.
	{name: "resumed", tool: clientSide, do: kubectlDoes("label", "configpin.io/resume=true"), want: want{content: "green", generation: true, written: true}},
	{name: "undone once more", tool: clientSide, do: undoes(), want: want{content: "green", generation: true, written: true}},
	{name: "undone once more under server-side apply", tool: serverSide, do: undoes(), want: want{content: "green", generation: true, written: true}},
	{
		name: "undone to a revision", tool: clientSide, do: undoesTo,
		want: want{content: "blue", held: true, revisions: 1, generation: true, written: true},
	},
	{
		name: "undone across a change of the image", tool: clientSide, do: undoesImage,
		want: want{content: "blue", held: true, revisions: 1, generation: true, written: true},
	},
	{
		name: "undone to a snapshot that was deleted", tool: clientSide, do: undoesToDeleted,
		want: want{content: "blue", held: true, revisions: 1, generation: true, written: true, says: "there is no such snapshot of configmap/app any more"},
	},
	{
		name: "undone when its source isn't versioned any more", tool: clientSide, do: undoesUnversioned,
		want: want{content: "green", generation: true, written: true},
	},
	{
		name: "undone when its source is gone", tool: clientSide, do: undoesWithoutSource,
		want: want{content: "green", generation: true, written: true},
	},
	{name: "given another content, but rollout is manual", tool: clientSide, do: manualThenRed, want: want{content: "blue", written: true}},
}

// disturbingRows stop and start configpin's programs.
var disturbingRows = []row{
	{name: "the versioner is restarted", tool: clientSide, do: restartsVersioner, want: nothing},
	{name: "another versioner leads", tool: clientSide, do: otherLeader, want: nothing},
	{name: "the webhook is restarted", tool: clientSide, do: restartsWebhook, want: nothing},
}

// kubectlDoes runs kubectl on the workload: a verb, and what comes after the
// workload.
func kubectlDoes(verb string, args ...string) func(*rolledBack) said {
	return func(w *rolledBack) said {
		w.t.Helper()
		return w.kubectl(slices.Concat(strings.Fields(verb), []string{resourceArgument(w.web)}, args)...)
	}
}

func again(flags ...string) func(*rolledBack) said {
	return func(w *rolledBack) said { return w.deploy(flags...) }
}

func byAnotherManager(w *rolledBack) said {
	said, err := w.tool.deploy(w.space, w.declared, "--field-manager=other")
	require.Error(w.t, err)
	return said
}

// toServerSide is how people move: kubectl takes over what it owned itself.
func toServerSide(w *rolledBack) said { return w.deploy("--server-side") }

// edits has kubectl edit run sed.
func edits(expression func(*rolledBack) string) func(*rolledBack) said {
	return func(w *rolledBack) said {
		w.t.Helper()
		editor := filepath.Join(w.t.TempDir(), "editor")
		require.NoError(w.t, os.WriteFile(editor, []byte("#!/bin/sh\nexec sed -i '"+expression(w)+"' \"$1\"\n"), 0o700))
		out, err := w.run(w.Kubectl, "", []string{"KUBE_EDITOR=" + editor},
			"--kubeconfig="+w.Kubeconfig, "--cache-dir="+w.cache, "--namespace="+w.name, "edit", resourceArgument(w.web))
		require.NoError(w.t, err, out.err)
		require.Contains(w.t, out.out, "edited")
		return out
	}
}

func otherSource(w *rolledBack) said {
	w.edit("extra", "white")
	w.showing(w.web, "extra", "white")
	return said{}
}

func moreReplicas(w *rolledBack) said {
	require.NoError(w.t, unstructured.SetNestedField(w.web.Object, int64(2), "spec", "replicas"))
	return w.deploy()
}

func replaces(w *rolledBack) said {
	w.replace(w.web)
	return said{}
}

func newImage(w *rolledBack) said {
	w.setImage("example.com/app:2")
	return w.deploy()
}

func (w *rolledBack) setImage(image string) {
	w.t.Helper()
	path := append(templatePath(w.t, w.web), "spec", "containers")
	containers, _, err := unstructured.NestedSlice(w.web.Object, path...)
	require.NoError(w.t, err)
	containers[0].(map[string]any)["image"] = image
	require.NoError(w.t, unstructured.SetNestedSlice(w.web.Object, containers, path...))
}

// becomes declares another content of the source, and waits until that is shown.
func becomes(value string) func(*rolledBack) said {
	return func(w *rolledBack) said {
		w.declare(value)
		said := w.deploy()
		w.showing(w.web, "app", value)
		return said
	}
}

// helmRollback goes back to the release that had blue: source and workload.
func helmRollback(path func(Clients) string) func(*rolledBack) said {
	return func(w *rolledBack) said {
		said, err := w.helm(path, "rollback", release, "1")
		require.NoError(w.t, err, said.err)
		w.declare("blue")
		return said
	}
}

func undoes(flags ...string) func(*rolledBack) said {
	return kubectlDoes("rollout undo", flags...)
}

// undoesTo goes back over one content to the one before.
func undoesTo(w *rolledBack) said {
	becomes("red")(w)
	w.rolledOut(w.web, 3)
	return undoes("--to-revision=" + w.revisionOf(w.blue))(w)
}

func undoesImage(w *rolledBack) said {
	newImage(w)
	w.rolledOut(w.web, 3)
	return undoes()(w)
}

func undoesToDeleted(w *rolledBack) said {
	becomes("red")(w)
	w.rolledOut(w.web, 3)
	w.absent["configmap/"+w.green] = true
	number := w.revisionOf(w.green)
	undoes("--to-revision=" + w.revisionOf(w.blue))(w)
	w.removeSnapshot(w.green)
	said, err := w.tryKubectl("", "rollout", "undo", resourceArgument(w.web), "--to-revision="+number)
	require.Error(w.t, err)
	return said
}

func undoesUnversioned(w *rolledBack) said {
	w.unkept["app"] = true
	w.kubectl("annotate", "configmap/app", wellknown.Versioned+"-")
	return undoes()(w)
}

func undoesWithoutSource(w *rolledBack) said {
	w.absent["configmap/app"] = true
	w.remove(configMap("app", nil))
	return undoes()(w)
}

func manualThenRed(w *rolledBack) said {
	w.kubectl("label", resourceArgument(w.web), "configpin.io/rollout=manual")
	w.edit("app", "red")
	return said{}
}

func restartsVersioner(w *rolledBack) said {
	require.NoError(w.t, w.Operator.StopVersioner())
	require.NoError(w.t, w.Operator.StartVersioner(w.t.Context()))
	return said{}
}

func restartsWebhook(w *rolledBack) said {
	require.NoError(w.t, w.Operator.StopWebhook())
	require.NoError(w.t, w.Operator.StartWebhook(w.t.Context()))
	return said{}
}

// otherLeader has a versioner that waits for its turn get it, and the one that
// led wait.
func otherLeader(w *rolledBack) said {
	names := []string{"waiting"}
	w.t.Cleanup(func() { require.NoError(w.t, w.Operator.StopRivals(names...)) })
	require.NoError(w.t, w.Operator.StartRivals(w.t.Context(), []string{"--leader-elect=true"}, names...))
	w.withoutVersioner(func() { w.pass() })
	require.NoError(w.t, w.Operator.StopRivals(names...))
	return said{}
}

// sourceManifest is a source as people write it.
func sourceManifest(name, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata":   map[string]any{"name": name, "annotations": map[string]any{wellknown.Versioned: wellknown.True}},
		"data":       map[string]any{colour: value},
	}}
}
