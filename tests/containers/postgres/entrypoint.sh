#!/bin/sh
# Makes the database at the first start, from POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD or its _FILE; nobody can
# reach the server before that is done. Then it runs the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  : "${POSTGRES_PASSWORD:?or POSTGRES_PASSWORD_FILE must name the password}"
  umask 077
  printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
  unset POSTGRES_PASSWORD
  initdb --username="${POSTGRES_USER:=postgres}" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  [ "${POSTGRES_DB:=$POSTGRES_USER}" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --wait --mode=fast stop
fi
exec "$@" -c "listen_addresses=*"
