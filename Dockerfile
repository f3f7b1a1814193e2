# For those who build with Docker. Releases are built by `make images`, which needs none.
#
#   docker build --build-arg PROGRAM=webhook --tag webhook .
#   docker build --build-arg PROGRAM=versioner --tag versioner .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG PROGRAM
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unreleased
WORKDIR /configpin
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X github.com/configpin/configpin/internal/serve.Version=$VERSION" -o /program ./cmd/$PROGRAM

FROM scratch
COPY --from=build /program /program
USER 65532:65532
ENTRYPOINT ["/program"]
