package main

import (
	"context"
	"fmt"

	"github.com/configpin/configpin/test/lab/installation"
)

// tell tells the story. The lines that it looks for are those of the manifests
// of Kubernetes: "cache 30" in the Corefile, "log-bin" in MySQL's master.cnf.
func tell(ctx context.Context, t *teller, configpin *installation.Installation) error {
	inNamespace := "kubectl config set-context --current --namespace=" + t.namespace
	say := func(sentence string) func(context.Context) error {
		return func(context.Context) error { t.say("%s", sentence); return nil }
	}
	run := func(command string) func(context.Context) error {
		return func(ctx context.Context) error { return t.run(ctx, command) }
	}
	check := func(claim string, so func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error { return t.check(ctx, claim, so) }
	}
	restart := func(ctx context.Context) error {
		fmt.Fprintln(t.out, "\n(the versioner is killed and started again)")
		if err := configpin.KillVersioner(); err != nil {
			return err
		}
		return configpin.StartVersioner(ctx)
	}
	return steps(ctx,
		say("CoreDNS and a MySQL, as Kubernetes' own repository has them. configpin is installed, and nobody has told it anything."),
		run("kubectl create namespace "+t.namespace+" && "+inNamespace),
		run("kubectl apply -f volumes.yaml -f configs.yaml -f workloads.yaml"),
		check("all Pods read the ConfigMaps themselves", both(t.allRead(dns, "cache 30", false), t.allRead(mysql, "log-bin", false))),

		say("Annotate what to version, label what to pin. Each workload rolls once, from the source to its snapshot."),
		run("kubectl annotate configmap/coredns configmap/mysql configpin.io/versioned=true"),
		run("kubectl label deployment/coredns statefulset/mysql configpin.io/enabled=true"),
		check("CoreDNS reads a snapshot, after one rollout", both(t.allRead(dns, "cache 30", true), t.revisions(dns, 2))),
		check("MySQL reads a snapshot, after one rollout", both(t.allRead(mysql, "log-bin", true), t.revisions(mysql, 2))),
		run("kubectl get configmaps -L configpin.io/snapshot-of"),
		t.pods(dns),
		t.pods(mysql),

		say("Edit the Corefile: one rollout, and the old ReplicaSet keeps its own bytes."),
		run("kubectl get configmap/coredns -o yaml | sed 's/cache 30$/cache 300/' | kubectl apply -f -"),
		check("CoreDNS reads the new Corefile, after one more rollout", both(t.allRead(dns, "cache 300", true), t.revisions(dns, 3))),
		check("the old ReplicaSet still names the old Corefile", t.stillReads(dns, "cache 30")),
		run("kubectl get replicasets -l k8s-app=kube-dns -o custom-columns=REPLICASET:.metadata.name,PODS:.status.replicas,READS:.spec.template.spec.volumes[0].configMap.name"),
		t.pods(dns),

		say("It was a bad idea. Undo."),
		run("kubectl rollout undo deployment/coredns"),
		check("the old Corefile is back, in the old ReplicaSet", both(t.allRead(dns, "cache 30", true), t.revisions(dns, 3))),
		t.pods(dns),

		say("And it stays: through a restart of configpin, and through a re-apply of the manifest."),
		restart,
		run("kubectl get configmap/mysql -o yaml | sed 's/log-bin$/log-bin=on/' | kubectl apply -f -"),
		check("the new versioner is at work: MySQL reads its new configuration", both(t.allRead(mysql, "log-bin=on", true), t.revisions(mysql, 3))),
		check("CoreDNS still reads the old Corefile, without a rollout", both(t.allRead(dns, "cache 30", true), t.revisions(dns, 3))),
		run("kubectl apply -f workloads.yaml"),
		check("CoreDNS still reads the old Corefile, without a rollout", both(t.allRead(dns, "cache 30", true), t.revisions(dns, 3))),
		t.pods(dns),

		say("A StatefulSet goes back in the same way."),
		run("kubectl rollout undo statefulset/mysql"),
		check("MySQL reads its old configuration", t.allRead(mysql, "log-bin", true)),
		t.pods(mysql),

		say("Another edit of the Corefile is a new decision: it ends the hold."),
		run("kubectl get configmap/coredns -o yaml | sed 's/cache 300$/cache 60/' | kubectl apply -f -"),
		check("CoreDNS reads the newest Corefile, after one more rollout", both(t.allRead(dns, "cache 60", true), t.revisions(dns, 4))),
		t.pods(dns),
		run("kubectl get events --field-selector involvedObject.name=coredns,reason!=ScalingReplicaSet -o custom-columns=OBJECT:.involvedObject.kind,REASON:.reason,MESSAGE:.message"),
	)
}

func both(first, second func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error { return steps(ctx, first, second) }
}
