# The official PostgreSQL image with revdesk_auth, preloaded.
#
#   docker build --build-arg PG_MAJOR=17 -t postgres-revdesk .
ARG PG_MAJOR=17

FROM postgres:${PG_MAJOR} AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc make libc6-dev "postgresql-server-dev-$PG_MAJOR"
COPY . /src
RUN make -C /src with_llvm=no clean && make -C /src with_llvm=no && make -C /src with_llvm=no DESTDIR=/image install

FROM postgres:${PG_MAJOR}
COPY --from=build /image/ /
CMD ["postgres", "-c", "shared_preload_libraries=revdesk_auth"]
