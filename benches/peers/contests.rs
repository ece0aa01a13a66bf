//! The jobs, and how each program does them.
//!
//! The commands run in an empty directory `$OUT`, which is also where they write; `$DATA` is what `data.sh` made, `$REGISTRY` an
//! empty registry on loopback. A program that syncs stands beside one that does not: barge is there in both ways.

/// A job.
#[derive(Debug)]
pub(crate) struct Contest {
    /// What to call it on the command line.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// What of the data it reads, for `find`.
    pub(crate) reads: &'static str,
    /// Whether there is to be an empty registry for each run.
    pub(crate) wants_registry: bool,
    /// What is done before each run, and is not measured.
    pub(crate) prepare: &'static str,
    /// Who does it.
    pub(crate) contenders: Vec<Contender>,
    /// How long barge may take.
    pub(crate) bars: Vec<Bar>,
}

/// A program that does a job.
#[derive(Debug)]
pub(crate) struct Contender {
    /// What to call it.
    pub(crate) name: &'static str,
    /// What has to be on `PATH`.
    pub(crate) programs: Vec<&'static str>,
    /// What it does before each run, and is not measured.
    pub(crate) prepare: &'static str,
    /// What it does.
    pub(crate) command: &'static str,
}

/// A bound: the median of one contender divided by that of another.
#[derive(Debug)]
pub(crate) struct Bar {
    /// Whose time is bounded.
    pub(crate) ours: &'static str,
    /// By whose.
    pub(crate) theirs: &'static str,
    /// What the quotient may be at most.
    pub(crate) at_most: f64,
}

fn by(name: &'static str, command: &'static str) -> Contender {
    let program = name.split([' ', ',']).next().unwrap_or(name);
    let programs = if program == "barge" { vec![] } else { vec![program] };
    Contender { name, programs, prepare: "", command }
}

impl Contender {
    fn needs(mut self, programs: &[&'static str]) -> Self {
        self.programs = programs.to_vec();
        self
    }

    fn after(mut self, prepare: &'static str) -> Self {
        self.prepare = prepare;
        self
    }
}

fn contest(name: &'static str, title: &'static str, contenders: Vec<Contender>) -> Contest {
    Contest { name, title, reads: "", wants_registry: false, prepare: "", contenders, bars: Vec::new() }
}

impl Contest {
    fn with_registry(mut self) -> Self {
        self.wants_registry = true;
        for contender in &mut self.contenders {
            contender.programs.push("docker-registry");
        }
        self
    }

    fn reads(mut self, reads: &'static str) -> Self {
        self.reads = reads;
        self
    }

    fn bar(mut self, ours: &'static str, theirs: &'static str, at_most: f64) -> Self {
        self.bars.push(Bar { ours, theirs, at_most });
        self
    }
}

const HASH: &str = "find $DATA/multi/blobs -type f -print0 | xargs -0 -n 1 -P $(nproc) openssl dgst -sha256";

/// Every job.
pub(crate) fn all() -> Vec<Contest> {
    let mut all = between_files();
    all.extend(looking());
    all.extend(registries());
    all.extend(many());
    all
}

fn between_files() -> Vec<Contest> {
    vec![
        contest("copy", "a layout of five architectures to another layout", vec![
            by("barge", "$BARGE -q copy $DATA/multi:v1 to"),
            by("barge, no sync", "$BARGE -q copy --no-sync $DATA/multi:v1 to"),
            by("sha256", HASH).needs(&["openssl"]),
            by("cp", "cp -r $DATA/multi to"),
            by("oras", "oras copy --from-oci-layout $DATA/multi:v1 --to-oci-layout to:v1"),
            by("regctl", "regctl image copy ocidir://$DATA/multi:v1 ocidir://to:v1"),
            by("skopeo", "skopeo --insecure-policy copy -q --all oci:$DATA/multi:v1 oci:to:v1"),
        ])
        .reads("multi")
        .bar("barge", "oras", 1.0)
        .bar("barge, no sync", "oras", 1.0 / 1.2)
        .bar("barge, no sync", "sha256", 1.3),
        contest("merge", "five archives of one architecture each to one layout", vec![
            by("barge", "$BARGE -q merge $DATA/{amd64,arm64,armhf,i386,s390x}.tar -o to -t app:v1"),
            by("barge, no sync", "$BARGE -q merge --no-sync $DATA/{amd64,arm64,armhf,i386,s390x}.tar -o to -t app:v1"),
            by("oras", "for a in amd64 arm64 armhf i386 s390x; do oras copy --from-oci-layout $DATA/$a.tar:v1 --to-oci-layout to:$a; done; \
                oras manifest index create --oci-layout to:v1 amd64 arm64 armhf i386 s390x"),
            by("regctl", "for a in amd64 arm64 armhf i386 s390x; do regctl image import ocidir://to:$a $DATA/$a.tar; done; \
                regctl index create ocidir://to:v1 --ref ocidir://to:amd64 --ref ocidir://to:arm64 --ref ocidir://to:armhf \
                --ref ocidir://to:i386 --ref ocidir://to:s390x"),
            by("buildah", "buildah --root $OUT/s --runroot $OUT/r manifest create m; for a in amd64 arm64 armhf i386 s390x; do \
                buildah --root $OUT/s --runroot $OUT/r manifest add m oci-archive:$DATA/$a.tar; done; \
                buildah --root $OUT/s --runroot $OUT/r manifest push --signature-policy $HOME/policy.json --all m oci:$OUT/to:v1"),
        ])
        .reads("{amd64,arm64,armhf,i386,s390x}.tar")
        .bar("barge, no sync", "oras", 0.5),
        contest("merge-archive", "five archives of one architecture each to one archive", vec![
            by("barge", "$BARGE -q merge $DATA/{amd64,arm64,armhf,i386,s390x}.tar -o to.tar -t app:v1"),
            by("barge, no sync", "$BARGE -q merge --no-sync $DATA/{amd64,arm64,armhf,i386,s390x}.tar -o to.tar -t app:v1"),
            by("regctl", "for a in amd64 arm64 armhf i386 s390x; do regctl image import ocidir://to:$a $DATA/$a.tar; done; \
                regctl index create ocidir://to:v1 --ref ocidir://to:amd64 --ref ocidir://to:arm64 --ref ocidir://to:armhf \
                --ref ocidir://to:i386 --ref ocidir://to:s390x; regctl image export ocidir://to:v1 to.tar"),
            by("buildah", "buildah --root $OUT/s --runroot $OUT/r manifest create m; for a in amd64 arm64 armhf i386 s390x; do \
                buildah --root $OUT/s --runroot $OUT/r manifest add m oci-archive:$DATA/$a.tar; done; \
                buildah --root $OUT/s --runroot $OUT/r manifest push --signature-policy $HOME/policy.json --all m oci-archive:$OUT/to.tar:v1"),
        ])
        .reads("{amd64,arm64,armhf,i386,s390x}.tar")
        .bar("barge", "regctl", 0.2)
        .bar("barge", "buildah", 0.2),
        contest("save", "a layout to an archive", vec![
            by("barge", "$BARGE -q save $DATA/multi:v1 -o to.tar"),
            by("barge, no sync", "$BARGE -q save --no-sync $DATA/multi:v1 -o to.tar"),
            by("tar", "tar -C $DATA/multi -cf to.tar ."),
            by("regctl", "regctl image export ocidir://$DATA/multi:v1 to.tar"),
            by("skopeo", "skopeo --insecure-policy copy -q --all oci:$DATA/multi:v1 oci-archive:to.tar:v1"),
        ])
        .reads("multi")
        .bar("barge, no sync", "tar", 1.0),
        contest("load", "an archive to a layout", vec![
            by("barge", "$BARGE -q load -i $DATA/multi.tar -o to"),
            by("barge, no sync", "$BARGE -q load --no-sync -i $DATA/multi.tar -o to"),
            by("sha256", HASH).needs(&["openssl"]),
            by("tar", "mkdir to; tar -C to -xf $DATA/multi.tar"),
            by("oras", "oras copy --from-oci-layout $DATA/multi.tar:v1 --to-oci-layout to:v1"),
            by("regctl", "regctl image import ocidir://to:v1 $DATA/multi.tar"),
            by("skopeo", "skopeo --insecure-policy copy -q --all oci-archive:$DATA/multi.tar:v1 oci:to:v1"),
        ])
        .reads("multi multi.tar")
        .bar("barge", "oras", 1.0)
        .bar("barge, no sync", "oras", 1.0 / 1.2)
        .bar("barge, no sync", "sha256", 1.3),
        contest("build", "a root file system to a layout with one gzip layer", vec![
            by("barge", "$BARGE -q build --no-sync -o to -t app:v1 --from scratch --owner keep --keep-times --add $DATA/rootfs:/"),
            by("pigz", "tar -C $DATA/rootfs --numeric-owner -c . | pigz -6 >layer.tar.gz").needs(&["tar", "pigz"]),
            by("umoci", "umoci init --layout to; umoci new --image to:v1; umoci insert --image to:v1 $DATA/rootfs /"),
        ])
        .reads("rootfs")
        .bar("barge", "umoci", 1.0 / 1.3)
        .bar("barge", "pigz", 1.0 / 2.5),
    ]
}

fn looking() -> Vec<Contest> {
    vec![
        contest(
            "verify",
            "every digest of a layout",
            vec![by("barge", "$BARGE -q verify $DATA/multi"), by("sha256", HASH).needs(&["openssl"])],
        )
        .reads("multi")
        .bar("barge", "sha256", 1.15),
        contest(
            "verify-deep",
            "every digest and every diff_id",
            vec![
                by("barge", "$BARGE -q verify --deep docker://$REGISTRY/app:v1")
                    .after("$BARGE -q push $DATA/multi:v1 $REGISTRY/app:v1"),
                by("crane", "crane validate --remote $REGISTRY/app:v1")
                    .after("$BARGE -q push $DATA/multi:v1 $REGISTRY/app:v1"),
            ],
        )
        .with_registry()
        .bar("barge", "crane", 0.1),
        contest(
            "start",
            "printing the version",
            vec![
                by("barge", "exec $BARGE --version"),
                by("true", "exec /bin/true"),
                by("skopeo", "exec skopeo --version"),
            ],
        ),
    ]
}

fn registries() -> Vec<Contest> {
    const PUSHED: &str = "$BARGE -q push $DATA/multi:v1 $REGISTRY/first:v1";
    let again = |contender: Contender, first: &'static str| contender.after(first);
    vec![
        contest("push", "a layout to an empty registry", vec![
            by("barge", "$BARGE -q push $DATA/multi:v1 $REGISTRY/app:v1"),
            by("oras", "oras copy --from-oci-layout $DATA/multi:v1 --to-plain-http $REGISTRY/app:v1"),
            by("crane", "crane push --index $DATA/multi $REGISTRY/app:v1"),
            by("regctl", "regctl image copy ocidir://$DATA/multi:v1 $REGISTRY/app:v1").after("regctl registry set --tls disabled $REGISTRY"),
            by("skopeo", "skopeo --insecure-policy copy -q --all --dest-tls-verify=false oci:$DATA/multi:v1 docker://$REGISTRY/app:v1"),
        ])
        .reads("multi")
        .with_registry()
        .bar("barge", "oras", 1.0)
        .bar("barge", "regctl", 1.0),
        contest("push-again", "the same when nothing is left to do", vec![
            again(by("barge", "$BARGE -q push $DATA/multi:v1 $REGISTRY/first:v1"), PUSHED),
            again(by("oras", "oras copy --from-oci-layout $DATA/multi:v1 --to-plain-http $REGISTRY/first:v1"), PUSHED),
            again(
                by("regctl", "regctl image copy ocidir://$DATA/multi:v1 $REGISTRY/first:v1"),
                "$BARGE -q push $DATA/multi:v1 $REGISTRY/first:v1; regctl registry set --tls disabled $REGISTRY",
            ),
        ])
        .with_registry(),
        contest("push-second", "the same blobs to a second repository of a registry that has them", vec![
            by("barge", "$BARGE -q push $DATA/multi:v1 $REGISTRY/second:v1").after(PUSHED),
            by("skopeo", "skopeo --insecure-policy copy -q --all --dest-tls-verify=false oci:$DATA/multi:v1 docker://$REGISTRY/second:v1")
                .after("skopeo --insecure-policy copy -q --all --dest-tls-verify=false oci:$DATA/multi:v1 docker://$REGISTRY/first:v1"),
        ])
        .with_registry()
        .bar("barge", "skopeo", 1.0),
        contest("push-archive", "an archive to an empty registry", vec![
            by("barge", "$BARGE -q push $DATA/multi.tar $REGISTRY/app:v1"),
            by("oras", "oras copy --from-oci-layout $DATA/multi.tar:v1 --to-plain-http $REGISTRY/app:v1"),
            by("skopeo", "skopeo --insecure-policy copy -q --all --dest-tls-verify=false oci-archive:$DATA/multi.tar:v1 docker://$REGISTRY/app:v1"),
        ])
        .reads("multi.tar")
        .with_registry()
        .bar("barge", "oras", 1.0),
        contest("pull", "a registry to a layout", vec![
            by("barge", "$BARGE -q copy docker://$REGISTRY/first:v1 to").after(PUSHED),
            by("barge, no sync", "$BARGE -q copy --no-sync docker://$REGISTRY/first:v1 to").after(PUSHED),
            by("oras", "oras copy --from-plain-http $REGISTRY/first:v1 --to-oci-layout to:v1").after(PUSHED),
            by("regctl", "regctl image copy $REGISTRY/first:v1 ocidir://to:v1")
                .after("$BARGE -q push $DATA/multi:v1 $REGISTRY/first:v1; regctl registry set --tls disabled $REGISTRY"),
            by("skopeo", "skopeo --insecure-policy copy -q --all --src-tls-verify=false docker://$REGISTRY/first:v1 oci:to:v1").after(PUSHED),
        ])
        .with_registry()
        .bar("barge, no sync", "oras", 1.0),
    ]
}

fn many() -> Vec<Contest> {
    vec![
        contest("many-copy", "60 names, 300 images, 965 blobs of 18 MB in all to another layout", vec![
            by("barge", "$BARGE -q copy $DATA/many to"),
            by("barge, no sync", "$BARGE -q copy --no-sync $DATA/many to"),
            by("cp", "cp -r $DATA/many to"),
            by("oras", "for n in $(seq 0 59); do oras copy --from-oci-layout $DATA/many:n$n --to-oci-layout to:n$n; done"),
            by("regctl", "for n in $(seq 0 59); do regctl image copy ocidir://$DATA/many:n$n ocidir://to:n$n; done"),
            by("skopeo", "for n in $(seq 0 59); do skopeo --insecure-policy copy -q --all oci:$DATA/many:n$n oci:to:n$n; done"),
        ])
        .reads("many")
        .bar("barge", "skopeo", 0.25),
        contest("many-push", "the same to an empty registry", vec![
            by("barge", "$BARGE -q push $DATA/many $REGISTRY/many"),
            by("oras", "for n in $(seq 0 59); do oras copy --from-oci-layout $DATA/many:n$n --to-plain-http $REGISTRY/many:n$n; done"),
            by("skopeo", "for n in $(seq 0 59); do skopeo --insecure-policy copy -q --all --dest-tls-verify=false oci:$DATA/many:n$n \
                docker://$REGISTRY/many:n$n; done"),
        ])
        .reads("many")
        .with_registry()
        .bar("barge", "oras", 0.5),
        contest("many-push-again", "the same when nothing is left to do", vec![
            by("barge", "$BARGE -q push $DATA/many $REGISTRY/many").after("$BARGE -q push $DATA/many $REGISTRY/many"),
            by("oras", "for n in $(seq 0 59); do oras copy --from-oci-layout $DATA/many:n$n --to-plain-http $REGISTRY/many:n$n; done")
                .after("$BARGE -q push $DATA/many $REGISTRY/many"),
        ])
        .reads("many")
        .with_registry()
        .bar("barge", "oras", 1.0 / 3.0),
    ]
}
