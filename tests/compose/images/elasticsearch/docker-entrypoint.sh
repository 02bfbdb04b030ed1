#!/bin/bash
# Like that of the published image: runs the given command, or, for `eswrapper`, the server with the settings from the
# environment.
set -euo pipefail
[ "$1" = eswrapper ] || exec "$@"

# Bash variables cannot have dots in their names.
setting() {
    env | sed -n "s|^$1=||p"
}

cd /usr/share/elasticsearch
run=$(mktemp -d)
printf 'elastic:{PLAIN}%s\n' "$ELASTIC_PASSWORD" >"$run/htpasswd"
cat >"$run/nginx.conf" <<END
pid $run/nginx.pid; error_log stderr;
events { worker_connections 1024; }
http {
  access_log off; client_max_body_size 100m; client_body_temp_path $run/body; proxy_temp_path $run/proxy;
  fastcgi_temp_path $run/f; uwsgi_temp_path $run/u; scgi_temp_path $run/s;
  server {
    listen 9200 ssl;
    ssl_certificate config/$(setting xpack.security.http.ssl.certificate);
    ssl_certificate_key config/$(setting xpack.security.http.ssl.key);
    location / {
      auth_basic security; auth_basic_user_file $run/htpasswd;
      proxy_pass http://127.0.0.1:9201; proxy_http_version 1.1;
      proxy_set_header Authorization ""; proxy_set_header Connection "";
    }
  }
}
END
sed -i "s| config/| $PWD/config/|" "$run/nginx.conf"
nginx -p "$run" -c "$run/nginx.conf" -e stderr

# shellcheck disable=SC2086 # several options
exec java $ES_JAVA_OPTS -Des.path.home="$PWD" --add-opens=java.base/java.io=ALL-UNNAMED --module-path=lib \
    --add-modules=ALL-MODULE-PATH --class-path=classes node.Node "$PWD" 9201
