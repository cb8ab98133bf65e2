-- ProxySQL, admin interface: what is loaded
INSERT INTO mysql_users(username,password,default_hostgroup) VALUES ('shop','Zq7sqlPassZq',10);
INSERT INTO mysql_galera_hostgroups (writer_hostgroup, backup_writer_hostgroup, reader_hostgroup, offline_hostgroup, active)
VALUES (10, 11, 20, 9999, 1);
-- INSERT INTO mysql_servers (hostgroup_id,hostname,port) VALUES (10,'10.20.7.19',3306);
INSERT INTO mysql_servers (hostgroup_id, hostname, port, weight, comment) VALUES
  (10, '10.20.7.11', 3306, 100, 'rack 1; it''s new'),
  (11, '10.20.7.12', 3306, 1, 'rack 2'),
  (20, "10.20.7.13", 3306, 1, '(spare)');
REPLACE INTO main.mysql_servers VALUES(20,'10.20.7.14',3307,0,'OFFLINE_HARD',1,0,100,0,0,0,'');
UPDATE global_variables SET variable_value='Zq7varPassZq' WHERE variable_name='mysql-monitor_password';
LOAD MYSQL SERVERS TO RUNTIME;
