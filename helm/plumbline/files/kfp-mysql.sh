# Starts MySQL for Kubeflow Pipelines, and makes its data folder, databases and user where they are missing. It relies
# on mysqld alone, not on the start script of an image. A folder that was killed half-made is made again.
set -eu

if [ ! -d "$DATA_FOLDER" ]; then
    rm -rf "$DATA_FOLDER.incoming"
    mysqld --no-defaults --initialize-insecure --datadir="$DATA_FOLDER.incoming" --secure-file-priv=NULL
    mv "$DATA_FOLDER.incoming" "$DATA_FOLDER"
fi

# The metadata store's client speaks mysql_native_password only.
umask 077
{
    for database in $KFP_DATABASES; do
        echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
    done
    echo "CREATE USER IF NOT EXISTS '$KFP_USER'@'%' IDENTIFIED WITH mysql_native_password BY '$KFP_PASSWORD';"
    echo "ALTER USER '$KFP_USER'@'%' IDENTIFIED WITH mysql_native_password BY '$KFP_PASSWORD';"
    for database in $KFP_DATABASES; do
        echo "GRANT ALL PRIVILEGES ON \`$database\`.* TO '$KFP_USER'@'%';"
    done
    echo "ALTER USER 'root'@'localhost' IDENTIFIED WITH mysql_native_password BY '$KFP_PASSWORD';"
} > /tmp/init.sql

exec mysqld --no-defaults --datadir="$DATA_FOLDER" --init-file=/tmp/init.sql --port="$MYSQL_TCP_PORT" \
    --socket=/tmp/mysqld.sock --pid-file=/tmp/mysqld.pid --mysqlx=OFF --secure-file-priv=NULL \
    --mysql-native-password=ON --authentication-policy=mysql_native_password \
    --disable-log-bin --performance-schema=OFF --innodb-buffer-pool-size=64M --max-connections=100 \
    --skip-name-resolve "$@"
