# The service elastic_setup runs this once, as root: it makes a CA and a node certificate with Elasticsearch's own tool. The
# keys stay in the volume of elastic; the worker gets only the CA's certificate.
set -euo pipefail
cd /usr/share/elasticsearch/config/certs
certutil=/usr/share/elasticsearch/bin/elasticsearch-certutil
if [ ! -f ca/ca.crt ]; then
    "$certutil" ca --silent --pem --days 3650 --out "$PWD/ca.zip"
    unzip -q -o ca.zip
    rm ca.zip
fi
if [ ! -f elastic/elastic.crt ]; then
    "$certutil" cert --silent --pem --days 3650 --name elastic --dns elastic,localhost --ip 127.0.0.1 \
        --ca-cert ca/ca.crt --ca-key ca/ca.key --out "$PWD/elastic.zip"
    unzip -q -o elastic.zip
    rm elastic.zip
fi
chown -R root:root .
find . -type d -exec chmod 750 {} +
find . -type f -exec chmod 640 {} +
install -m 644 ca/ca.crt /elastic-ca/ca.crt
echo "the CA of Elasticsearch is /elastic-ca/ca.crt"
